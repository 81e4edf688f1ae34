use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

const HEADER: &str = "#filetype:JSON-streaming {\"type\":\"Class\",\"class\":\"Doctor\"}\n";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// `file:line=value of a`, or the fault.
async fn read(export: &Export, class: &str) -> Vec<String> {
    let mut rows = export.rows(class);
    let mut seen = Vec::new();
    while let Some(batch) = rows.next().await.unwrap() {
        seen.extend(batch.into_iter().map(|row| {
            let content = row.content.map_or_else(|fault| format!("{fault:?}"), |row| row["a"].to_string());
            format!("{}:{}={content}", row.file, row.line)
        }));
    }
    seen
}

async fn read_single(name: &str, content: &[u8]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    read(&Export::open(&path).unwrap(), "Doctor").await
}

fn numbered_rows(count: usize) -> String {
    use std::fmt::Write as _;
    (0..count).fold(HEADER.to_owned(), |mut text, n| {
        writeln!(text, "{{\"a\":{n},\"noise\":\"{}\"}}", n.wrapping_mul(2_654_435_761)).unwrap();
        text
    })
}

#[tokio::test]
async fn headers_blank_lines_marks_and_carriage_returns_are_tolerated() {
    let rows =
        read_single("Doctor.0.jsonl", format!("\u{FEFF}{HEADER}{{\"a\":1}}\r\n\r\n\n{{\"a\":2}}").as_bytes()).await;
    assert_eq!(rows, ["Doctor.0.jsonl:2=1", "Doctor.0.jsonl:5=2"]);
}

#[tokio::test]
async fn the_header_names_the_class_and_else_the_file_does() {
    assert_eq!(read_single("export-1.txt", format!("{HEADER}{{\"a\":1}}").as_bytes()).await, ["export-1.txt:2=1"]);
    assert_eq!(read_single("Doctor.jsonl", b"{\"a\":1}").await, ["Doctor.jsonl:1=1"]);
    assert_eq!(read_single("Doctor.0.jsonl.gz", &gzip(b"{\"a\":1}")).await, ["Doctor.0.jsonl.gz:1=1"]);
}

#[tokio::test]
async fn archives_are_read_in_any_packing_and_folder() {
    let members: [(&str, &[u8]); 4] = [
        ("export/Doctor.0.jsonl", b"{\"a\":1}\n"),
        ("export/._Doctor.0.jsonl", b"\0\0"),
        ("Patients.0.jsonl", b"{\"a\":9}\n"),
        ("deep/er/Doctor.1.jsonl.gz", &gzip(b"{\"a\":2}\n")),
    ];
    for (name, content) in
        [("x.tar", tar(&members)), ("x.tar.gz", gzip(&tar(&members))), ("x.tgz", gzip(&tar(&members)))]
    {
        let expected = [format!("{name}/export/Doctor.0.jsonl:1=1"), format!("{name}/deep/er/Doctor.1.jsonl.gz:1=2")];
        assert_eq!(read_single(name, &content).await, expected);
    }
}

#[tokio::test]
async fn a_folder_is_read_with_its_subfolders_in_order_and_other_files_are_told() {
    let folder = TempDir::new().unwrap();
    let put = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("b/Doctor.0.jsonl", b"{\"a\":3}\n");
    put("Doctor.1.jsonl", b"{\"a\":2}\n");
    put("Doctor.0.jsonl", b"{\"a\":1}\n");
    put("Doctor_schema.json", b"{\"a\":{}}");
    put("notes.txt", b"hello");
    put(".DS_Store", b"x");
    put("backup.tar", &tar(&[("_User.0.jsonl", b"{\"a\":4}\n"), ("readme.md", b"hi")]));
    let export = Export::open(folder.path()).unwrap();
    assert_eq!(read(&export, "Doctor").await, ["Doctor.0.jsonl:1=1", "Doctor.1.jsonl:1=2", "b/Doctor.0.jsonl:1=3"]);
    assert_eq!(read(&export, "_User").await, ["backup.tar/_User.0.jsonl:1=4"]);
    assert_eq!(export.classes().into_iter().collect::<Vec<_>>(), ["Doctor", "_User"]);
    assert_eq!(export.unknown_files(), ["backup.tar/readme.md", "notes.txt"]);
    assert_eq!(export.bytes_of("Doctor"), 24);
    assert_eq!(export.bytes_read(), export.bytes_of("Doctor") + export.bytes_of("_User"));
}

#[tokio::test]
async fn a_corrupt_line_is_told_with_file_and_line_and_the_rest_is_read() {
    let rows =
        read_single("Doctor.0.jsonl", format!("{HEADER}{{\"a\":1}}\n{{\"a\":\n[]\n{{\"a\":2}}\n").as_bytes()).await;
    assert_eq!(
        rows,
        ["Doctor.0.jsonl:2=1", "Doctor.0.jsonl:3=NotJson", "Doctor.0.jsonl:4=NotAnObject", "Doctor.0.jsonl:5=2"]
    );
}

#[tokio::test]
async fn an_overlong_line_is_told_and_skipped() {
    let long = "x".repeat(MAX_LINE_BYTES);
    let rows = read_single("Doctor.0.jsonl", format!("{{\"a\":\"{long}\"}}\n{{\"a\":2}}\n").as_bytes()).await;
    assert_eq!(rows, ["Doctor.0.jsonl:1=TooLong", "Doctor.0.jsonl:2=2"]);
}

#[tokio::test]
async fn rows_before_the_damage_in_a_cut_gzip_are_kept() {
    let packed = gzip(numbered_rows(5_000).as_bytes());
    let rows = read_single("Doctor.0.jsonl.gz", &packed[..packed.len() / 2]).await;
    let (last, before) = rows.split_last().unwrap();
    assert!(before.len() > 1_000 && before.len() < 4_999, "{}", before.len());
    assert!(before.iter().enumerate().all(|(n, row)| row.ends_with(&format!(":{}={n}", n + 2))));
    assert_eq!(last, &format!("Doctor.0.jsonl.gz:{}=Damaged", before.len() + 2));
}

#[tokio::test]
async fn a_gzip_cut_in_its_first_bytes_is_told() {
    let packed = gzip(numbered_rows(3).as_bytes());
    for length in [2, 12, packed.len() - 1] {
        let rows = read_single("Doctor.0.jsonl.gz", &packed[..length]).await;
        assert!(rows.last().unwrap().ends_with("=Damaged"), "{length}: {rows:?}");
    }
    assert_eq!(read_single("Doctor.0.jsonl.gz", &packed[..packed.len() - 1]).await.len(), 4);
}

#[tokio::test]
async fn a_cut_archive_is_told_and_read_up_to_the_cut() {
    let (first, second) = (numbered_rows(1_000), numbered_rows(2_000));
    let packed = gzip(&tar(&[("Doctor.0.jsonl", first.as_bytes()), ("Doctor.1.jsonl", second.as_bytes())]));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.tar.gz");
    fs::write(&path, &packed[..packed.len() * 2 / 3]).unwrap();
    let export = Export::open(&path).unwrap();
    assert_eq!(export.damaged_archives(), ["x.tar.gz"]);
    let rows = read(&export, "Doctor").await;
    assert!(rows.len() > 1_100, "{}", rows.len());
    assert!(rows.last().unwrap().starts_with("x.tar.gz/Doctor.1.jsonl:"), "{rows:?}");
    assert!(rows.last().unwrap().ends_with("=Damaged"), "{:?}", rows.last());
}

#[tokio::test]
async fn concatenated_gzip_members_are_one_file() {
    let both = [gzip(b"{\"a\":1}\n"), gzip(b"{\"a\":2}\n")].concat();
    assert_eq!(
        read_single("Doctor.gz", &[gzip(HEADER.as_bytes()), both].concat()).await,
        ["Doctor.gz:2=1", "Doctor.gz:3=2"]
    );
}

#[tokio::test]
async fn batches_are_bounded() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("Doctor.0.jsonl"), numbered_rows(2 * MAX_BATCH_ROWS + 1)).unwrap();
    let mut rows = Export::open(folder.path()).unwrap().rows("Doctor");
    let mut sizes = Vec::new();
    while let Some(batch) = rows.next().await.unwrap() {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [MAX_BATCH_ROWS, MAX_BATCH_ROWS, 1]);
}

#[test]
fn what_is_no_export_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("notes.txt"), "hello").unwrap();
    assert!(matches!(Export::open(folder.path()), Err(ExportError::Empty { .. })));
    let missing = Export::open(Path::new("no/such/export")).unwrap_err();
    assert_eq!(missing.to_string(), "no/such/export cannot be read");
}
