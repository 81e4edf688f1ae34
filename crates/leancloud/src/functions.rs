//! Cloud functions as clients call them: `POST /1.1/functions/<name>` and `/1.1/call/<name>`.

use consultation::consultation::OpenConsultation;
use consultation::{ConsultationType, Status};
use domain::id::{ConsultationId, DoctorId, PatientId};
use domain::{Coded, ErrorKind, FieldError, ObjectId};
use serde::Serialize;
use serde_json::{Map, Value};

/// Name of the function that starts a consultation.
pub const INITIATE_CONSULTATION: &str = "initiateConsultation";

/// The parameters of a call cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    #[error("the body is not a JSON object")]
    Malformed,
    #[error("some parameters are not as they should be")]
    Invalid(Vec<FieldError>),
}

impl Coded for ParamsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "request.malformed",
            Self::Invalid(_) => "request.invalid",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Malformed => Vec::new(),
            Self::Invalid(faults) => faults.clone(),
        }
    }
}

/// Reads the body of a call. SDKs send nothing at all, or `null`, for a call without parameters.
///
/// # Errors
/// [`ParamsError::Malformed`] when it is neither that nor a JSON object.
pub fn parse_params(body: &[u8]) -> Result<Map<String, Value>, ParamsError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(ParamsError::Malformed),
    }
}

/// Parameters of `initiateConsultation`. The original call has no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitiateConsultationParams {
    pub doctor_id: DoctorId,
    pub patient_id: PatientId,
    pub kind: ConsultationType,
}

impl InitiateConsultationParams {
    /// Checks the parameters; keys it does not know are ignored, as SDKs add some of their own.
    ///
    /// # Errors
    /// [`ParamsError::Invalid`] with all fields at fault.
    pub fn from_map(params: &Map<String, Value>) -> Result<Self, ParamsError> {
        let doctor = object_id(params, "doctorId");
        let patient = object_id(params, "patientId");
        match (doctor, patient, kind(params)) {
            (Ok(doctor), Ok(patient), Ok(kind)) => {
                Ok(Self { doctor_id: doctor.into(), patient_id: patient.into(), kind })
            }
            (doctor, patient, kind) => {
                Err(ParamsError::Invalid([doctor.err(), patient.err(), kind.err()].into_iter().flatten().collect()))
            }
        }
    }
}

fn object_id(params: &Map<String, Value>, field: &str) -> Result<ObjectId, FieldError> {
    let id = params.get(field).and_then(Value::as_str).and_then(|text| text.parse().ok());
    id.ok_or_else(|| FieldError::new(field, "must be a string of 24 hexadecimal digits"))
}

fn kind(params: &Map<String, Value>) -> Result<ConsultationType, FieldError> {
    match params.get("type") {
        None | Some(Value::Null) => Ok(ConsultationType::default()),
        Some(value) => value
            .as_str()
            .and_then(ConsultationType::parse)
            .ok_or_else(|| FieldError::new("type", "must be \"normal\" or \"phone\"")),
    }
}

/// The answer of any function: `{"result": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionResult<T> {
    pub result: T,
}

/// The answer of `initiateConsultation`: exactly these five keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InitiateConsultationView {
    pub success: bool,
    /// An existing open consultation was returned.
    pub is_old: bool,
    pub status: Status,
    /// When the consultation was started, epoch milliseconds.
    pub start_at: i64,
    pub consultation_id: ConsultationId,
}

impl InitiateConsultationView {
    pub fn new(consultation: OpenConsultation, is_old: bool) -> Self {
        Self {
            success: true,
            is_old,
            status: consultation.status,
            start_at: consultation.started_at.as_millis(),
            consultation_id: consultation.id,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const DOCTOR: &str = "5daeb07b7b968a0074945056";
    const PATIENT: &str = "5db2cf72f884af0073deb1bc";

    fn parse(params: Value) -> Result<InitiateConsultationParams, Vec<String>> {
        let Value::Object(params) = params else { panic!("not an object") };
        InitiateConsultationParams::from_map(&params)
            .map_err(|error| error.fields().into_iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn the_documented_call_is_read() {
        let params = parse(json!({"doctorId": DOCTOR, "patientId": PATIENT})).unwrap();
        assert_eq!(params.doctor_id.to_string(), DOCTOR);
        assert_eq!(params.patient_id.to_string(), PATIENT);
        assert_eq!(params.kind, ConsultationType::Normal);
    }

    #[test]
    fn keys_of_the_sdk_are_ignored_and_the_type_is_optional() {
        let params = parse(json!({"doctorId": DOCTOR, "patientId": PATIENT, "__ignore_hooks": true, "type": "phone"}));
        assert_eq!(params.unwrap().kind, ConsultationType::Phone);
        assert!(parse(json!({"doctorId": DOCTOR, "patientId": PATIENT, "type": null})).is_ok());
    }

    #[rstest]
    #[case(json!({}), &["doctorId", "patientId"])]
    #[case(json!({"doctorId": DOCTOR}), &["patientId"])]
    #[case(json!({"doctorId": 5, "patientId": PATIENT}), &["doctorId"])]
    #[case(json!({"doctorId": "5daeb07b7b968a00749450", "patientId": PATIENT}), &["doctorId"])]
    #[case(json!({"doctorId": DOCTOR, "patientId": "5db2cf72f884af0073deb1bg"}), &["patientId"])]
    #[case(json!({"doctorId": {"__type": "Pointer", "className": "Doctor", "objectId": DOCTOR}, "patientId": PATIENT}), &["doctorId"])]
    #[case(json!({"doctorId": DOCTOR, "patientId": PATIENT, "type": "video"}), &["type"])]
    #[case(json!({"doctorId": DOCTOR, "patientId": PATIENT, "type": 1}), &["type"])]
    fn faults_name_their_fields(#[case] params: Value, #[case] fields: &[&str]) {
        assert_eq!(parse(params).unwrap_err(), fields);
    }

    #[test]
    fn a_call_without_a_body_has_no_parameters() {
        for body in ["", " \r\n", "null", "{}"] {
            assert_eq!(parse_params(body.as_bytes()), Ok(Map::new()), "{body:?}");
        }
        for body in ["[]", "1", "{", "\"x\"", "{}{}"] {
            assert_eq!(parse_params(body.as_bytes()), Err(ParamsError::Malformed), "{body:?}");
        }
    }

    #[test]
    fn the_answer_has_exactly_five_keys() {
        let open = OpenConsultation {
            id: ConsultationId("5e77edf7ddf52ecf4076c19a".parse().unwrap()),
            status: Status::New,
            started_at: Timestamp::from_millis(1_571_991_410_000),
        };
        let answer = FunctionResult { result: InitiateConsultationView::new(open, false) };
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"result":{"success":true,"isOld":false,"status":"0","startAt":1571991410000,"consultationId":"5e77edf7ddf52ecf4076c19a"}}"#
        );
    }
}
