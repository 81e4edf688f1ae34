//! Object stores: S3 and compatible ones, Aliyun OSS, Tencent COS.

use opendal::{HttpTransporter, OperationContext, Operator, services};

use super::failed;
use super::transport::HyperTransport;
use crate::StartError;
use crate::config::{Files, Secret};

/// Opens `bucket/prefix` of an object store with the credentials of `files.*` and no others: nothing is
/// taken from the machine's environment or metadata service.
pub(super) fn open(scheme: &str, bucket_and_prefix: &str, files: &Files) -> Result<Operator, StartError> {
    let (bucket, prefix) = bucket_and_prefix.split_once('/').unwrap_or((bucket_and_prefix, ""));
    let endpoint = files.endpoint.as_deref().unwrap_or("https://s3.amazonaws.com");
    let id = files.access_key_id.as_deref().unwrap_or_default();
    let secret = files.access_key_secret.as_ref().map_or("", Secret::expose);
    let operator = match scheme {
        "oss" => Operator::new(
            services::Oss::default()
                .bucket(bucket)
                .root(prefix)
                .endpoint(endpoint)
                .access_key_id(id)
                .access_key_secret(secret),
        ),
        "cos" => Operator::new(
            services::Cos::default()
                .bucket(bucket)
                .root(prefix)
                .endpoint(endpoint)
                .secret_id(id)
                .secret_key(secret)
                .disable_config_load(),
        ),
        _ => Operator::new(
            services::S3::default()
                .bucket(bucket)
                .root(prefix)
                .endpoint(endpoint)
                .region(files.region.as_deref().unwrap_or("auto"))
                .access_key_id(id)
                .secret_access_key(secret)
                .disable_config_load()
                .disable_ec2_metadata(),
        ),
    };
    let operator = operator.map_err(|e| failed("is an object store that cannot be opened", e))?;
    let transport = HyperTransport::new().map_err(|e| failed("needs the machine's certificates, which", e))?;
    let transport = HttpTransporter::new(transport);
    Ok(operator.with_context(OperationContext::default().with_http_transport(transport)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use domain::file::BlobStore;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::{OpendalBlobs, Tasks};

    type Objects = Arc<Mutex<HashMap<String, Vec<u8>>>>;

    fn files(url: &str, endpoint: &str) -> Files {
        Files {
            url: url.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            access_key_id: Some("the-id".to_owned()),
            access_key_secret: Some(Secret::new("the-secret")),
            ..Files::default()
        }
    }

    /// Answers one request like an object store that refuses unsigned ones.
    async fn answer(mut stream: TcpStream, objects: Objects) {
        let mut received = Vec::new();
        let head_end = loop {
            if let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the request broke off");
        };
        let head = String::from_utf8(received[..head_end].to_vec()).unwrap();
        let lower = head.to_ascii_lowercase();
        let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length: usize = header("content-length:").map_or(0, |n| n.parse().unwrap());
        while received.len() < head_end + length {
            stream.read_buf(&mut received).await.unwrap();
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
        let is_signed = header("authorization:").is_some_and(|a| a.contains("credential=the-id/"));
        let (status, body) = match method {
            _ if !is_signed => ("403 Forbidden", Vec::new()),
            "PUT" => {
                objects.lock().unwrap().insert(path, received[head_end..].to_vec());
                ("200 OK", Vec::new())
            }
            "GET" => {
                objects.lock().unwrap().get(&path).map_or(("404 Not Found", Vec::new()), |b| ("200 OK", b.clone()))
            }
            _ => {
                objects.lock().unwrap().remove(&path);
                ("204 No Content", Vec::new())
            }
        };
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    }

    #[tokio::test]
    async fn a_compatible_store_is_spoken_to_with_the_configured_credentials() {
        let (tasks, objects) = (Tasks::new(), Objects::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (serving, kept) = (tasks.clone(), objects.clone());
        tasks.spawn("object store", async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.spawn("request", answer(stream, kept.clone()));
            }
        });
        let store = OpendalBlobs::open(&files("s3://bucket/some/prefix", &endpoint)).unwrap();
        store.put("ab/cd.png", vec![1, 2, 3], "image/png").await.unwrap();
        assert_eq!(objects.lock().unwrap().get("/bucket/some/prefix/ab/cd.png"), Some(&vec![1, 2, 3]));
        assert_eq!(store.get("ab/cd.png").await.unwrap(), Some(vec![1, 2, 3]));
        store.delete("ab/cd.png").await.unwrap();
        assert_eq!(store.get("ab/cd.png").await.unwrap(), None);
    }

    #[test]
    fn the_chinese_stores_open_by_their_schemes() {
        for (url, endpoint) in [
            ("oss://bucket/prefix", "https://oss-cn-shanghai.aliyuncs.com"),
            ("cos://bucket-1250000000", "https://cos.ap-shanghai.myqcloud.com"),
        ] {
            OpendalBlobs::open(&files(url, endpoint)).unwrap();
        }
    }
}
