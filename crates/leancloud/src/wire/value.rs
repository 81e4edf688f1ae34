//! Typed values: `{"__type": …}` objects for what JSON lacks.

use domain::{ObjectId, Timestamp};
use serde_json::{Map, Value, json};

/// A value with a `__type`, as LeanCloud writes it anywhere inside an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed {
    Pointer(Pointer),
    Date(Timestamp),
    File(FileValue),
    GeoPoint(GeoPoint),
}

impl Typed {
    /// Reads a typed value. `None` when it has no `__type`, one that is not known, or is malformed.
    pub fn parse(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        match object.get("__type")?.as_str()? {
            // `Object` is how `/1.1/call` sends a whole object where a pointer stands.
            "Pointer" | "Object" => Pointer::parse(object).map(Self::Pointer),
            "Date" => Timestamp::parse_rfc3339(object.get("iso")?.as_str()?).ok().map(Self::Date),
            "File" => Some(Self::File(FileValue::parse(object))),
            "GeoPoint" => GeoPoint::parse(object).map(Self::GeoPoint),
            _ => None,
        }
    }
}

/// `{"__type":"Date","iso":"2026-01-02T03:04:05.678Z"}`.
pub fn date(at: Timestamp) -> Value {
    json!({ "__type": "Date", "iso": at.to_rfc3339() })
}

/// A reference to a row of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    pub class: String,
    pub id: ObjectId,
}

impl Pointer {
    fn parse(object: &Map<String, Value>) -> Option<Self> {
        let class = object.get("className")?.as_str()?.to_owned();
        let id = object.get("objectId")?.as_str()?.parse().ok()?;
        Some(Self { class, id })
    }

    pub fn to_value(&self) -> Value {
        json!({ "__type": "Pointer", "className": self.class, "objectId": self.id.to_string() })
    }
}

/// A place on earth. Passed through as it came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoPoint {
    pub latitude: f64,
    pub longitude: f64,
}

impl GeoPoint {
    fn parse(object: &Map<String, Value>) -> Option<Self> {
        Some(Self { latitude: object.get("latitude")?.as_f64()?, longitude: object.get("longitude")?.as_f64()? })
    }

    pub fn to_value(self) -> Value {
        json!({ "__type": "GeoPoint", "latitude": self.latitude, "longitude": self.longitude })
    }
}

/// A file as it stands in a field: expanded, with everything a client needs to show it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileValue {
    pub id: Option<ObjectId>,
    pub name: Option<String>,
    pub url: Option<String>,
    pub mime_type: Option<String>,
    pub meta_data: Option<Value>,
    /// Whatever else was in it, e.g. `bucket`.
    pub other: Map<String, Value>,
}

impl FileValue {
    /// Takes what is there; a file value may lack anything.
    fn parse(object: &Map<String, Value>) -> Self {
        let mut file = Self::default();
        for (key, value) in object {
            let text = || value.as_str().map(str::to_owned);
            match key.as_str() {
                "__type" => {}
                // Some SDKs write `id` instead.
                "objectId" | "id" if file.id.is_none() => file.id = value.as_str().and_then(|id| id.parse().ok()),
                "name" => file.name = text(),
                "url" => file.url = text().filter(|url| !url.is_empty()),
                "mime_type" => file.mime_type = text(),
                "metaData" => file.meta_data = Some(value.clone()),
                _ => {
                    file.other.insert(key.clone(), value.clone());
                }
            }
        }
        file
    }

    /// The expanded form that SDKs need: at least `__type, objectId, name, url, mime_type, metaData`.
    pub fn to_value(&self) -> Value {
        let mut object = self.other.clone();
        let text = |value: &Option<String>| json!(value.as_deref().unwrap_or_default());
        object.insert("__type".into(), json!("File"));
        object.insert("objectId".into(), json!(self.id.map(|id| id.to_string()).unwrap_or_default()));
        object.insert("name".into(), text(&self.name));
        object.insert("url".into(), text(&self.url));
        object.insert("mime_type".into(), text(&self.mime_type));
        object.insert("metaData".into(), self.meta_data.clone().unwrap_or_else(|| json!({})));
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_whole_objects_are_read_as_references() {
        let pointer = json!({"__type":"Pointer","className":"Doctor","objectId":"5daeb07b7b968a0074945056"});
        let Some(Typed::Pointer(read)) = Typed::parse(&pointer) else { panic!("not a pointer") };
        assert_eq!(read.to_value(), pointer);
        let whole = json!({"__type":"Object","className":"Doctor","objectId":"5daeb07b7b968a0074945056","name":"钱"});
        assert_eq!(Typed::parse(&whole), Some(Typed::Pointer(read)));
    }

    #[test]
    fn malformed_and_unknown_types_are_not_read() {
        for value in [
            json!({"__type":"Pointer","className":"Doctor","objectId":"x"}),
            json!({"__type":"Pointer","objectId":"5daeb07b7b968a0074945056"}),
            json!({"__type":"Date","iso":"yesterday"}),
            json!({"__type":"Bytes","base64":""}),
            json!({"iso":"2026-01-02T03:04:05.678Z"}),
            json!("2026-01-02T03:04:05.678Z"),
        ] {
            assert_eq!(Typed::parse(&value), None, "{value}");
        }
    }

    #[test]
    fn dates_round_trip() {
        let at = Timestamp::from_millis(1_767_323_045_678);
        assert_eq!(date(at), json!({"__type":"Date","iso":"2026-01-02T03:04:05.678Z"}));
        assert_eq!(Typed::parse(&date(at)), Some(Typed::Date(at)));
    }

    #[test]
    fn geo_points_pass_through() {
        let point = json!({"__type":"GeoPoint","latitude":31.2,"longitude":121.5});
        let Some(Typed::GeoPoint(read)) = Typed::parse(&point) else { panic!("not a point") };
        assert_eq!(read.to_value(), point);
    }

    #[test]
    fn files_come_back_expanded_with_what_else_was_in_them() {
        let file = json!({"__type":"File","objectId":"5e10d76817149d439536b321","name":"icon.jpg",
            "url":"https://files.example.invalid/icon.jpg","mime_type":"image/jpeg","metaData":{"size":82134},"bucket":"demo"});
        let Some(Typed::File(read)) = Typed::parse(&file) else { panic!("not a file") };
        assert_eq!(read.to_value(), file);
        let Some(Typed::File(short)) = Typed::parse(&json!({"__type":"File","id":"5e10d76817149d439536b321"})) else {
            panic!("not a file")
        };
        assert_eq!(short.id, read.id);
        assert_eq!(short.to_value()["metaData"], json!({}));
    }
}
