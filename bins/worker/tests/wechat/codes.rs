//! Invitation codes: drawn once, known by their bytes.

use futures_util::future::join_all;
use wechat::WechatError;
use wechat::invitation::InvitationCodes;
use wechat_standin::{Fault, FaultKind, StandinTemplate};

use crate::support::{Stage, TEMPLATE, on_each_database};

const DRAW: &str = "/wxa/getwxacodeunlimit";

/// Somebody edits the template in the console.
pub(crate) fn change_template(stage: &Stage, content: &str) {
    let (id, title) = (TEMPLATE.to_owned(), "新消息提醒".to_owned());
    let template = StandinTemplate { id, title, content: content.to_owned(), is_long_term: false };
    stage.platform().set_templates(crate::support::APPID, vec![template]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_on_two_nodes_are_one_call() {
    on_each_database(async |stage| {
        let nodes = [stage.node().await, stage.node().await];
        let codes: Vec<InvitationCodes> =
            nodes.iter().map(|node| InvitationCodes::new(node.context.clone(), node.blobs.clone())).collect();
        let asked = (0..100).map(|n| codes[n % 2].code("AbcdefghijklmnopqrstuV", 430));
        let pictures: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert!(pictures.iter().all(|picture| *picture == pictures[0] && picture.mime_type == "image/png"));
        assert_eq!(stage.platform().count(DRAW), 1);
        codes[0].code("AbcdefghijklmnopqrstuV", 600).await.unwrap();
        assert_eq!(stage.platform().count(DRAW), 2, "another width is another picture");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_or_half_a_picture_is_not_kept_as_one() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let codes = InvitationCodes::new(node.context.clone(), node.blobs.clone());
        let page = FaultKind::Refuse { code: 41_030, message: "invalid page".into() };
        stage.platform().faults.push(Fault::once(DRAW, page));
        assert!(matches!(codes.code("scene", 430).await, Err(WechatError::Refused { code: 41_030 })));
        stage.platform().faults.push(Fault::once(DRAW, FaultKind::TruncateAfter));
        assert!(matches!(codes.code("scene", 430).await, Err(WechatError::Unavailable)));
        stage.platform().faults.push(Fault::once(DRAW, FaultKind::ResetAfter));
        assert!(codes.code("scene", 430).await.is_ok(), "harmless to ask twice");
        assert!(matches!(codes.code("a b", 430).await, Err(WechatError::Invalid(_))));
        assert!(matches!(codes.code("scene", 279).await, Err(WechatError::Invalid(_))));
    })
    .await;
}

#[tokio::test]
async fn a_link_is_good_for_at_most_thirty_days() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let codes = InvitationCodes::new(node.context.clone(), node.blobs.clone());
        let link = codes.link("scene", 30).await.unwrap();
        assert!(link.url.starts_with("https://"));
        assert_eq!(link.expires_at, stage.clock_now() + domain::time::span::days(30));
        assert!(matches!(codes.link("scene", 31).await, Err(WechatError::Invalid(_))));
    })
    .await;
}
