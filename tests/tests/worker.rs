//! `zhaoguan-worker` as a process of its own: what operators ask it.

use std::time::{Duration, Instant};

use reqwest::blocking::get;
use tests::server::{Database, Deployment, free_port};

#[test]
fn a_worker_answers_for_its_health_and_shows_its_metrics() {
    for database in Database::available() {
        let address = format!("127.0.0.1:{}", free_port());
        let deployment = Deployment::new(database).with("worker.listen", &address);
        let mut worker = deployment.start_worker();
        let ask = |path: &str| get(format!("http://{address}{path}")).ok();
        let limit = Instant::now() + Duration::from_secs(30);
        while ask("/readyz").is_none_or(|answer| answer.status() != 200) {
            assert!(Instant::now() < limit, "the worker is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(ask("/healthz").unwrap().text().unwrap(), r#"{"status":"alive"}"#);
        // Counted since the first idle look.
        while !ask("/metrics").unwrap().text().unwrap().contains("outbox_jobs_due 0") {
            assert!(Instant::now() < limit, "the worker counts nothing");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(ask("/elsewhere").unwrap().status(), 404);
        assert!(worker.terminate().success());
    }
}
