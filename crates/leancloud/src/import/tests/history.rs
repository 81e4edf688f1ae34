//! Message history, files, and classes the product does not know.

use domain::file::{BlobError, BlobStore, File, FilePlace};
use im::{Message, MessageKind};

use super::*;
use crate::rest::FileUrls;

const CONVERSATION: &str = "5e10d76817149d439536b321";
const FILE: &str = "5e10d76817149d439536b3f1";
const OLD_URL: &str = "https://files.example.invalid/voice.mp3";

fn message(id: &str, at: i64, from: &str, data: &str) -> Value {
    json!({
        "timestamp": at, "conv-id": CONVERSATION, "data": data, "from": from, "msg-id": id, "is-conv": true,
        "is-room": false, "to": CONVERSATION, "bin": false, "from-ip": "192.0.2.1",
    })
}

fn text(text: &str) -> String {
    json!({ "_lctype": -1, "_lctext": text }).to_string()
}

/// The usual pair with a dialog.
fn with_dialog() -> Scene {
    let scene = with_pair();
    scene.put("_Conversation.0.jsonl", &[row(CONVERSATION, json!({"m": [DOCTOR, PATIENT]}))]);
    scene
}

impl Scene {
    /// Replaces a file of the export by text as it stands.
    fn put_text(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn history(&self) -> Vec<Message> {
        let mut messages = self.rows().messages;
        messages.sort_by_key(|message| (message.conversation_id, message.seq));
        messages
    }

    fn shown(&self) -> Vec<String> {
        let text = |m: &Message| m.content.to_value()["text"].as_str().unwrap_or("-").to_owned();
        self.history().iter().map(|m| format!("{} {}", m.seq, text(m))).collect()
    }
}

#[tokio::test]
async fn arrays_of_the_rest_interface_become_messages_in_their_order() {
    let scene = with_dialog();
    // Newest first, over two files, one message in both.
    let newest = json!([message("m3", 3_000, DOCTOR, &text("三")), message("m2", 2_000, PATIENT, &text("二"))]);
    let oldest = json!([message("m2", 2_000, PATIENT, &text("二")), message("m1", 1_000, PATIENT, &text("一"))]);
    scene.put_text("history-1.json", &newest.to_string());
    scene.put_text("history-2.json", &oldest.to_string());
    let (report, findings) = scene.import().await;
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!((report.of_class("_Message").read, report.of_class("_Message").inserted), (4, 3));
    assert_eq!(scene.shown(), ["1 一", "2 二", "3 三"]);
    let history = scene.history();
    let first = &history[0];
    assert_eq!(first.client_message_id.as_deref(), Some("lc:m1"));
    assert_eq!((first.sender.as_deref(), first.created_at.as_millis()), (Some(PATIENT), 1_000));
    assert_eq!(first.kind, MessageKind::Text);
    // Nobody is behind, and nobody is told of it as news.
    let rows = scene.rows();
    assert!(rows.members.iter().all(|member| member.unread_count(3) == 0));
    assert!(history.iter().all(|message| message.position < 0));
    let conversation = &rows.conversations[&object_id(CONVERSATION)];
    assert_eq!((conversation.last_seq, conversation.last_message_at), (3, Some(Timestamp::from_millis(3_000))));
    // Again, with one more.
    let again = json!([message("m4", 4_000, DOCTOR, &text("四")), message("m3", 3_000, DOCTOR, &text("三"))]);
    scene.put_text("history-3.jsonl", &again.to_string());
    let (report, _) = scene.import().await;
    assert_eq!((report.of_class("_Message").inserted, report.of_class("_Message").unchanged), (1, 5));
    assert_eq!(scene.shown(), ["1 一", "2 二", "3 三", "4 四"]);
    assert_eq!(scene.rows().epochs, 0);
}

#[tokio::test]
async fn older_history_that_comes_later_is_put_in_front_and_told() {
    let scene = with_dialog();
    scene.put_text("a.json", &json!([message("m2", 2_000, DOCTOR, &text("二"))]).to_string());
    scene.import().await;
    scene.put_text("a.json", &json!([message("m1", 1_000, DOCTOR, &text("一"))]).to_string());
    let (_, findings) = scene.import().await;
    assert_eq!(findings, [format!("a.json:1 _Message history_reordered ({CONVERSATION})")]);
    assert_eq!(scene.shown(), ["1 一", "2 二"]);
    assert_eq!(scene.rows().epochs, 1);
}

#[tokio::test]
async fn odd_messages_are_told_and_the_others_come_in() {
    let scene = with_dialog();
    let mut without_text = message("m1", 1_000, DOCTOR, "");
    without_text["data"] = json!(null);
    let mut elsewhere = message("m2", 2_000, "visitor", &text("在吗"));
    elsewhere["conv-id"] = json!(id(900));
    let mut passing = message("m3", 3_000, DOCTOR, "x");
    passing["conv-id"] = json!("_tmp:abc");
    scene.put_text("a.json", &format!("[{without_text},\n{elsewhere},{passing}]\nnonsense\n"));
    let (report, findings) = scene.import().await;
    let made = format!("a.json:2 _Message conversation_created ({})", id(900));
    assert_eq!(
        findings,
        [
            "a.json:1 _Message.data wrong_type (m1) skipped",
            "a.json:2 _Message.conv-id bad_reference (m3) skipped",
            "a.json:3 _Message not_json skipped",
            made.as_str(),
        ]
    );
    assert_eq!(report.of_class("_Message").inserted, 1);
    assert_eq!(scene.rows().members.iter().filter(|m| m.client_id == "visitor").count(), 1);
}

#[tokio::test]
async fn history_survives_being_broken_off() {
    let scene = with_dialog();
    let messages: Vec<Value> = (0..40)
        .map(|n| {
            let mut message = message(&format!("m{n:02}"), 1_000 + n, DOCTOR, &text(&n.to_string()));
            message["conv-id"] = json!(id(u32::try_from(500 + n % 4).unwrap()));
            message
        })
        .collect();
    scene.put_text("a.json", &json!(messages).to_string());
    let whole = {
        let other = with_dialog();
        other.put_text("a.json", &json!(messages).to_string());
        other.import().await;
        other.shown()
    };
    scene.store.go_down_after(Some(4));
    assert!(scene.try_import(scene.folder.path()).await.is_err());
    scene.store.go_down_after(None);
    scene.import().await;
    assert_eq!(scene.shown(), whole);
}

#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

#[async_trait::async_trait]
impl BlobStore for Kept {
    async fn put(&self, key: &str, _: Vec<u8>, _: &str) -> Result<(), BlobError> {
        self.0.lock().unwrap().push(key.to_owned());
        Ok(())
    }
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, BlobError> {
        Ok(None)
    }
    async fn delete(&self, _: &str) -> Result<(), BlobError> {
        Ok(())
    }
}

struct Own;

impl FileUrls for Own {
    fn url(&self, file: &File) -> String {
        format!("https://own.example.invalid/{}", file.id)
    }
}

#[tokio::test]
async fn files_come_in_and_what_refers_to_them_is_rewritten() {
    let mut scene = with_dialog();
    let data = json!({ "_lctype": -3, "_lcfile": { "url": OLD_URL, "objId": FILE, "metaData": { "duration": 2.5 } } });
    scene.put("_File.0.jsonl", &[row(FILE, json!({"url": OLD_URL, "name": "voice.mp3", "mime_type": "audio/mpeg"}))]);
    scene.put("Diary.0.jsonl", &[row(&id(300), json!({"sound": OLD_URL}))]);
    scene.put_text("a.json", &json!([message("m1", 1_000, DOCTOR, &data.to_string())]).to_string());
    // First without the bytes: everything stays at its address.
    scene.import().await;
    assert!(scene.history()[0].content.as_str().contains(OLD_URL));

    fs::create_dir(scene.folder.path().join("files")).unwrap();
    scene.put_text(&format!("files/{FILE}.mp3"), "sound");
    let blobs = Arc::new(Kept::default());
    let folder = FileFolder::open(&scene.folder.path().join("files")).unwrap();
    scene.importer.options.copying = Some(Arc::new(Copying { folder, blobs: blobs.clone() }));
    scene.importer.options.file_urls = Some(Arc::new(Own));
    let (report, findings) = scene.import().await;
    assert_eq!((report.copied_files, findings), (1, vec![]));
    let file = scene.rows().files[&object_id(FILE)].clone();
    assert_eq!(file.place, FilePlace::Stored { key: blobs.0.lock().unwrap()[0].clone() });
    assert_eq!(file.size, Some(5));
    let content = scene.history()[0].content.as_str().to_owned();
    assert!(
        content.contains(&format!("https://own.example.invalid/{FILE}")) && !content.contains(OLD_URL),
        "{content}"
    );
    // A newer row of the file does not take its bytes away.
    let newer = json!({"url": OLD_URL, "name": "new.mp3", "updatedAt": "2021-01-01T00:00:00.000Z"});
    scene.put("_File.0.jsonl", &[row(FILE, newer)]);
    scene.import().await;
    let renamed = scene.rows().files[&object_id(FILE)].clone();
    assert_eq!((renamed.name.as_str(), renamed.place), ("new.mp3", file.place));
}

#[tokio::test]
async fn other_classes_become_documents_with_their_lists_and_relations() {
    let scene = Scene::new();
    scene.put("_User.0.jsonl", &[row(USER, json!({"username": "u"}))]);
    let acl = json!({ "*": {"read": true}, USER: {"read": true, "write": true} });
    let roles = json!({"name": "nurse", "users": {"__type": "Relation", "className": "_User"}});
    scene.put("_Role.0.jsonl", &[row(&id(400), roles)]);
    scene.put("Diary.0.jsonl", &[row(&id(401), json!({"text": "好", "ACL": acl})), row("short", json!({}))]);
    let member = |owner: &str, related: &str| json!({"objectId": id(402), "owningId": owner, "relatedId": related});
    scene.put("_Join:users:_Role.0.jsonl", &[member(&id(400), USER), member(&id(400), &id(999))]);
    scene.put("_Join:likes:Diary.0.jsonl", &[member(&id(401), USER)]);
    let (report, findings) = scene.import().await;
    assert_eq!(
        findings,
        [
            "Diary.0.jsonl:3 Diary.objectId bad_object_id skipped".to_owned(),
            "_Join:likes:Diary.0.jsonl:2 _Join:likes:Diary unknown_target skipped".to_owned(),
            format!("_Join:users:_Role.0.jsonl:3 _Join:users:_Role.relatedId dangling_reference ({}) skipped", id(999)),
        ]
    );
    assert_eq!((report.of_class("Diary").inserted, report.of_class("_Role").inserted), (1, 1));
    let rows = scene.rows();
    assert_eq!(rows.documents[&("Diary".to_owned(), object_id(&id(401)))].fields["text"], json!("好"));
    assert_eq!(rows.document_relations.len(), 1);
    // A schema tells what members of the other relation are.
    scene.put_text(
        "Diary_schema.json",
        &json!({"fields": {"likes": {"type": "Relation", "className": "_User"}}}).to_string(),
    );
    let (report, _) = scene.import().await;
    assert_eq!((report.of_class("_Join:likes:Diary").inserted, report.of_class("Diary").unchanged), (1, 1));
}
