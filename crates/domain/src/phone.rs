//! Phone numbers: E.164, mainland numbers with or without their prefix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A phone number in E.164 form (`+8613900000000`). `Debug` and `Display` show it masked;
/// [`Phone::as_e164`] is the only way to the digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);

/// The text is not a phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a phone number is an 11-digit mainland number or E.164 with a leading +")]
pub struct MalformedPhone;

impl Phone {
    /// The number as `+` and digits. Never log it.
    pub fn as_e164(&self) -> &str {
        &self.0
    }

    /// The 11 digits of a mainland number, else E.164: how LeanCloud shows it.
    pub fn national(&self) -> &str {
        self.mainland().unwrap_or(&self.0)
    }

    /// The 11 digits, if this is a mainland mobile number.
    pub fn mainland(&self) -> Option<&str> {
        self.0.strip_prefix("+86").filter(|digits| digits.len() == 11)
    }

    /// `138****8000`: safe to show in lists and logs.
    pub fn masked(&self) -> String {
        let shown = self.national();
        let digits: Vec<char> = shown.chars().collect();
        let (head, tail) = if digits.len() >= 11 { (3, 4) } else { (2, 2) };
        let head: String = digits.iter().take(head).collect();
        let tail: String = digits.iter().skip(digits.len() - tail).collect();
        format!("{head}****{tail}")
    }
}

impl FromStr for Phone {
    type Err = MalformedPhone;

    /// Accepts `13900000000`, `+8613900000000`, `8613900000000`, `008613900000000` and any other
    /// E.164 number with its `+`; spaces and hyphens are ignored.
    fn from_str(text: &str) -> Result<Self, MalformedPhone> {
        let compact: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let (plus, digits) = match compact.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, compact.as_str()),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(MalformedPhone);
        }
        let is_mainland = |d: &str| {
            d.len() == 11 && d.starts_with('1') && d.as_bytes().get(1).is_some_and(|b| (b'3'..=b'9').contains(b))
        };
        if plus {
            if let Some(national) = digits.strip_prefix("86") {
                return if is_mainland(national) { Ok(Self(format!("+86{national}"))) } else { Err(MalformedPhone) };
            }
            let plausible = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
            return if plausible { Ok(Self(format!("+{digits}"))) } else { Err(MalformedPhone) };
        }
        let national = digits.strip_prefix("0086").or_else(|| digits.strip_prefix("86")).unwrap_or(digits);
        if is_mainland(national) { Ok(Self(format!("+86{national}"))) } else { Err(MalformedPhone) }
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({})", self.masked())
    }
}

impl Serialize for Phone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainland_forms_are_one_number() {
        for text in ["13900000000", "+8613900000000", "8613900000000", "008613900000000", "139 0000-0000"] {
            assert_eq!(text.parse::<Phone>().unwrap().as_e164(), "+8613900000000", "{text}");
        }
    }

    #[test]
    fn other_countries_need_the_plus() {
        assert_eq!("+14155550100".parse::<Phone>().unwrap().as_e164(), "+14155550100");
        assert_eq!("14155550100".parse::<Phone>().unwrap().as_e164(), "+8614155550100");
        assert_eq!("4155550100".parse::<Phone>(), Err(MalformedPhone));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "+",
            "1390000000",
            "12900000000",
            "+8612900000000",
            "139０0000000",
            "+0123456789",
            "abc",
            "+1234567890123456",
        ] {
            assert_eq!(bad.parse::<Phone>(), Err(MalformedPhone), "{bad}");
        }
    }

    #[test]
    fn masks_show_three_and_four_digits_at_most() {
        let phone: Phone = "13812348000".parse().unwrap();
        assert_eq!(phone.masked(), "138****8000");
        assert_eq!(format!("{phone:?} {phone}"), "Phone(138****8000) 138****8000");
        assert_eq!(phone.national(), "13812348000");
        let abroad: Phone = "+14155550100".parse().unwrap();
        assert!(!abroad.masked().contains("155550"), "{}", abroad.masked());
    }
}
