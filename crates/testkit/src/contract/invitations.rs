//! Invitations.

use consultation::relation::Invitation;
use domain::id::InvitationId;

use super::samples::{at, invitation};
use super::{Harness, assert_unique, attempt, within};
use crate::build::doctor_id;
use crate::ids::object_id;

async fn given(h: &dyn Harness, invitations: &[Invitation]) {
    within(h, async |unit| {
        for invitation in invitations {
            unit.invitations().insert(invitation).await.unwrap();
        }
    })
    .await;
}

async fn stored(h: &dyn Harness, n: u32) -> Option<Invitation> {
    h.store().read().invitations().find(InvitationId(object_id(n))).await.unwrap()
}

pub async fn an_invitation_keeps_every_field(h: &dyn Harness) {
    let full = Invitation { expires_at: Some(at(5)), revoked_at: Some(at(4)), scan_count: 12, ..invitation(1, 1) };
    given(h, &[full.clone(), invitation(2, 1)]).await;
    assert_eq!(stored(h, 1).await, Some(full));
    assert_eq!(stored(h, 2).await, Some(invitation(2, 1)));
    assert_eq!(stored(h, 3).await, None);
}

pub async fn an_invitation_is_found_by_its_exact_scene(h: &dyn Harness) {
    given(h, &[invitation(1, 1)]).await;
    let mut read = h.store().read();
    assert_eq!(read.invitations().find_by_scene("scene1").await.unwrap(), Some(invitation(1, 1)));
    assert_eq!(read.invitations().find_by_scene("SCENE1").await.unwrap(), None);
    assert_eq!(read.invitations().find_by_scene("").await.unwrap(), None);
}

pub async fn a_scene_and_an_id_are_taken_once(h: &dyn Harness) {
    given(h, &[invitation(1, 1)]).await;
    let same_scene = Invitation { scene: "scene1".into(), ..invitation(2, 1) };
    assert_unique(&attempt(h, async |unit| unit.invitations().insert(&same_scene).await).await, "invitation");
    let same_id = Invitation { scene: "other".into(), ..invitation(1, 1) };
    assert_unique(&attempt(h, async |unit| unit.invitations().insert(&same_id).await).await, "invitation");
}

pub async fn a_doctors_invitations_are_listed_newest_first(h: &dyn Harness) {
    let same_time = Invitation { created_at: at(2), ..invitation(3, 1) };
    given(h, &[invitation(1, 1), invitation(2, 1), same_time.clone(), invitation(4, 2)]).await;
    let listed = h.store().read().invitations().list(doctor_id(1)).await.unwrap();
    assert_eq!(listed, [same_time, invitation(2, 1), invitation(1, 1)]);
}

pub async fn revoking_again_keeps_the_first_time(h: &dyn Harness) {
    given(h, &[invitation(1, 1), invitation(2, 1)]).await;
    for millis in [5, 9] {
        within(h, async |unit| unit.invitations().revoke(invitation(1, 1).id, at(millis)).await.unwrap()).await;
    }
    assert_eq!(stored(h, 1).await.unwrap().revoked_at, Some(at(5)));
    assert_eq!(stored(h, 2).await, Some(invitation(2, 1)));
}

pub async fn scans_are_counted(h: &dyn Harness) {
    given(h, &[invitation(1, 1), invitation(2, 1)]).await;
    for _ in 0..3 {
        within(h, async |unit| unit.invitations().count_scan(invitation(1, 1).id).await.unwrap()).await;
    }
    assert_eq!(stored(h, 1).await.unwrap().scan_count, 3);
    assert_eq!(stored(h, 2).await.unwrap().scan_count, 0);
}
