//! The official SDKs' bundles for mini-programs, unmodified, under an emulated `wx`, against the real server behind TLS and
//! the stand-in for WeChat. Needs Node.js and openssl.

use tests::load::export::doctor_phone;
use tests::sdk::Stage;
use tests::server::{Database, Deployment, free_port};
use tests::world::populate;

fn run(sdk: &str) {
    for database in Database::available() {
        let standin = format!("127.0.0.1:{}", free_port());
        // Who is who is proven, as in production: mini-programs sign in anyway.
        let deployment = Deployment::new(database)
            .with("wechat.standin", &standin)
            .with("leancloud.im_login", "session_or_signature")
            .with("worker.embedded", "true")
            .with("worker.poll", "100ms");
        let stage = Stage::new(deployment, |deployment| populate(deployment, 2, 2));
        stage.run(sdk, "weapp.mjs", &[&doctor_phone(1), &format!("http://{standin}")]);
    }
}

#[test]
fn mini_programs_with_the_usual_sdk_run_the_whole_product() {
    run("sdk");
}

#[test]
fn mini_programs_with_the_newest_sdk_run_the_whole_product() {
    run("sdk5");
}
