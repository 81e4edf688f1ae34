//! Public ids. Every entity is named by a MongoDB-style `ObjectId`, so ids imported from LeanCloud live on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Twelve bytes shown as 24 lower-case hex digits: 4 bytes of Unix seconds, 5 random, 3 of a counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId([u8; 12]);

/// The text is not 24 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 24 hexadecimal digits")]
pub struct MalformedId;

impl ObjectId {
    /// Number of hex digits of an id.
    pub const TEXT_LEN: usize = 24;

    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// Writes the digits; always fits.
    fn write<'a>(&self, text: &'a mut [u8; Self::TEXT_LEN]) -> Option<&'a str> {
        hex::encode_to_slice(self.0, text).ok()?;
        std::str::from_utf8(text).ok()
    }

    /// Builds an id from its parts: Unix `seconds`, 5 random bytes and the low 24 bits of `counter`.
    pub fn from_parts(seconds: u32, random: [u8; 5], counter: u32) -> Self {
        let [s0, s1, s2, s3] = seconds.to_be_bytes();
        let [r0, r1, r2, r3, r4] = random;
        let [_, c0, c1, c2] = counter.to_be_bytes();
        Self([s0, s1, s2, s3, r0, r1, r2, r3, r4, c0, c1, c2])
    }
}

impl FromStr for ObjectId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let mut bytes = [0; 12];
        hex::decode_to_slice(text, &mut bytes).or(Err(MalformedId))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::TEXT_LEN];
        f.write_str(self.write(&mut text).ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; Self::TEXT_LEN];
        serializer.serialize_str(self.write(&mut text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;

        impl serde::de::Visitor<'_> for Hex {
            type Value = ObjectId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id of 24 hexadecimal digits")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ObjectId, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Hex)
    }
}

/// Makes new ids. A port, so that tests can fix them.
pub trait IdSource: Send + Sync {
    /// A fresh id, never returned before by this source.
    fn next(&self) -> ObjectId;
}

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ObjectId);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                text.parse().map(Self)
            }
        }

        impl From<ObjectId> for $name {
            fn from(id: ObjectId) -> Self {
                Self(id)
            }
        }
    )+};
}

typed_ids! {
    /// A sign-in account (`_User` on LeanCloud).
    UserId,
    /// A patient (`Patients` on LeanCloud).
    PatientId,
    /// A doctor.
    DoctorId,
    /// The relation of one doctor and one patient.
    RelationId,
    /// One episode of consulting.
    ConsultationId,
    /// An IM conversation (`_Conversation` on LeanCloud).
    ConversationId,
    /// One message of a conversation.
    MessageId,
    /// An uploaded or imported file (`_File` on LeanCloud).
    FileId,
    /// A signed-in device.
    SessionId,
    /// A customer-service agent or administrator.
    AgentId,
    /// A decision whether and when to tell somebody something.
    NotificationId,
    /// A row of the outbox.
    JobId,
    /// A sleep report made by an integrator.
    ReportId,
    /// A challenge for an SMS code.
    ChallengeId,
    /// A doctor's invitation.
    InvitationId,
    /// A row of the audit log.
    AuditId,
    /// One transition of a consultation.
    ConsultationEventId,
    /// A text message.
    SmsMessageId,
    /// A receipt for a text message, as a provider reported it.
    SmsReceiptId,
    /// A text message somebody sent back.
    SmsReplyId,
    /// The official assistant.
    AssistantId,
    /// One time somebody was served at the desk, from waiting to closed.
    EpisodeId,
    /// A note or an event between the messages of a chat at the desk.
    DeskEntryId,
    /// An answer that agents keep ready.
    CannedReplyId,
    /// Something the desk is asked to look after.
    DeskTaskId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let id: ObjectId = "5daeb07b7b968a0074945056".parse().unwrap();
        assert_eq!(id.to_string(), "5daeb07b7b968a0074945056");
    }

    #[test]
    fn anything_but_24_hex_digits_is_refused() {
        for bad in ["", "5daeb07b", "5daeb07b7b968a007494505g", "5daeb07b7b968a00749450566", "王"] {
            assert_eq!(bad.parse::<ObjectId>(), Err(MalformedId), "{bad}");
        }
    }

    #[test]
    fn upper_case_is_read_and_shown_in_lower_case() {
        let id: ObjectId = "5DAEB07B7B968A0074945056".parse().unwrap();
        assert_eq!(id.to_string(), "5daeb07b7b968a0074945056");
    }

    #[test]
    fn parts_are_laid_out_like_mongodb() {
        let id = ObjectId::from_parts(0x5dae_b07b, [1, 2, 3, 4, 5], 0xff_abcdef);
        assert_eq!(id.to_string(), "5daeb07b0102030405abcdef");
    }
}
