//! What the platform's error codes mean, in one table.

use std::time::Duration;

/// What to do about a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The token is not valid any more: one fresh one, one more try.
    Token,
    /// Secret, whitelist or account: stop, wait long, tell the operator.
    Credentials,
    /// Not done; may work soon.
    Busy,
    /// Too many calls; wait until the window turns.
    Rate,
    /// This person cannot be reached this way.
    Recipient,
    /// Another send to the same person is running.
    Concurrent,
    /// Our message is wrong; the same again would be as wrong.
    OurData,
    /// The app may not do this.
    Capability,
    /// A login or phone code that is wrong, used or blocked.
    Code,
    /// Not in the table.
    Other,
}

impl Class {
    pub const ALL: [Self; 10] = [
        Self::Token,
        Self::Credentials,
        Self::Busy,
        Self::Rate,
        Self::Recipient,
        Self::Concurrent,
        Self::OurData,
        Self::Capability,
        Self::Code,
        Self::Other,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Credentials => "credentials",
            Self::Busy => "busy",
            Self::Rate => "rate",
            Self::Recipient => "recipient",
            Self::Concurrent => "concurrent",
            Self::OurData => "our_data",
            Self::Capability => "capability",
            Self::Code => "code",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// Not followed, or no grant, or the window is closed: codes the rules look at one by one.
pub mod code {
    pub const NO_GRANT: i64 = 43_101;
    pub const NOT_FOLLOWING: i64 = 43_004;
    pub const WRONG_OPENID: i64 = 40_003;
    pub const WINDOW_CLOSED: i64 = 45_015;
    pub const WINDOW_USED_UP: i64 = 45_047;
    pub const NOT_RECENT_VISITOR: i64 = 61_010;
    pub const NOT_OF_THIS_APP: i64 = 43_104;
    pub const IP_NOT_LISTED: i64 = 40_164;
    pub const CODE_INVALID: i64 = 40_029;
    pub const CODE_USED: i64 = 40_163;
    pub const CODE_BLOCKED: i64 = 40_226;
    pub const SESSION_MISMATCH: i64 = 87_009;
    pub const FIELD: i64 = 47_003;
    pub const TEMPLATE: i64 = 40_037;
}

/// Class of a code.
pub const fn class_of(code: i64) -> Class {
    match code {
        40_001 | 40_014 | 42_001 => Class::Token,
        40_013 | 40_125 | 40_164 | 40_243 | 41_002 | 41_004 | 50_004 | 50_007 | 89_503 | 89_506 | 89_507 => {
            Class::Credentials
        }
        -1 | 20_001 | 200_001 => Class::Busy,
        45_009 | 45_011 | 44_990 | 44_991 | 44_993 | 48_006 => Class::Rate,
        43_101 | 43_004 | 45_015 | 45_047 | 40_003 | 70_000 => Class::Recipient,
        43_108 => Class::Concurrent,
        47_003 | 47_001 | 40_037 | 41_030 | 40_165 | 40_097 | 40_129 | 40_169 | 45_168 | 45_002 | 40_036 | 40_039
        | 40_008 | 43_002 | 44_002 | 40_212 | 85_096 | 85_079 | 85_401 | 85_402 => Class::OurData,
        43_107 | 43_116 | 48_001 | 43_104 | 45_103 | 45_109 | 40_249 | 200_011 | 200_013 | 200_100 => Class::Capability,
        40_029 | 40_163 | 40_226 => Class::Code,
        _ => Class::Other,
    }
}

/// What an operator does about a code, where there is something to do.
pub const fn advice(code: i64) -> Option<&'static str> {
    Some(match code {
        40_001 | 40_014 | 42_001 => {
            "the platform refuses the token it hands out: refresh it by force, and see whether another server uses the old token interface with this app"
        }
        40_013 => "the appid is not known: compare wechat.apps.*.appid with 开发管理 → 开发设置 of the console",
        40_125 | 41_004 => {
            "the secret is wrong or was reset: set wechat.apps.*.secret to the one of 开发管理 → 开发设置 → AppSecret"
        }
        40_164 => {
            "this server's address is not on the list: add the address named in the message under 开发管理 → 开发设置 → IP白名单"
        }
        40_243 => "the secret is frozen: unfreeze it under 开发管理 → 开发设置 → AppSecret",
        89_503 | 89_506 | 89_507 => {
            "the call from this address waits for the administrator's confirmation in WeChat; 89506 lasts 24 hours, 89507 one hour"
        }
        50_004 | 50_007 => "the account is blocked or frozen: see 通知中心 of the console",
        41_002 => "no appid was sent: set wechat.apps.*.appid",
        48_001 => "the app has no permission for this interface: see 接口权限 of the console",
        43_107 | 43_116 | 200_011 | 200_013 => "the capability was banned: see 通知中心 of the console",
        43_101 => "the person has given no (further) consent: ask in the app again",
        47_003 => "a field breaks its rule: the message names it; compare the template in the console",
        40_037 => "the template id is not one of this app: compare wechat.apps.*.templates with 订阅消息 → 我的模板",
        41_030 | 40_165 | 85_079 => "the page is not in the published version of the mini-program",
        45_009 => "the day's quota is used up; it is renewed at midnight",
        _ => return None,
    })
}

/// How long a rate limit lasts, counted from the refusal; a day's limit lasts until midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateWindow {
    For(Duration),
    UntilMidnight,
}

/// The window a rate code belongs to. `is_per_minute` says that this call's 45009 is a minute's limit.
pub const fn rate_window(code: i64, is_per_minute: bool) -> RateWindow {
    match code {
        44_990 => RateWindow::For(Duration::from_secs(1)),
        45_009 if is_per_minute => RateWindow::For(Duration::from_mins(1)),
        45_009 | 44_993 | 48_006 => RateWindow::UntilMidnight,
        _ => RateWindow::For(Duration::from_mins(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_contract_are_in_their_classes() {
        let table: [(Class, &[i64]); 8] = [
            (Class::Token, &[40001, 40014, 42001]),
            (Class::Credentials, &[40013, 40125, 40164, 40243, 41002, 41004, 50004, 50007, 89503, 89506, 89507]),
            (Class::Busy, &[-1]),
            (Class::Rate, &[45009, 45011, 44991, 44993, 44990]),
            (Class::Recipient, &[43101, 43004, 45015, 45047, 40003]),
            (Class::Concurrent, &[43108]),
            (Class::OurData, &[47003, 40037, 41030, 40165, 40097, 40129, 40169, 45168, 47001]),
            (Class::Capability, &[43107, 43116, 48001, 43104, 45103, 45109]),
        ];
        for (class, codes) in table {
            for code in codes {
                assert_eq!(class_of(*code), class, "{code}");
            }
        }
        assert_eq!(class_of(123_456), Class::Other);
        assert!(Class::ALL.into_iter().all(|class| Class::parse(class.as_str()) == Some(class)));
    }

    #[test]
    fn every_credential_fault_has_its_advice() {
        for code in 0..100_000 {
            if class_of(code) == Class::Credentials {
                assert!(advice(code).is_some(), "{code}");
            }
        }
    }

    #[test]
    fn day_limits_last_until_midnight_and_minute_limits_a_minute() {
        assert_eq!(rate_window(45_009, false), RateWindow::UntilMidnight);
        assert_eq!(rate_window(45_009, true), RateWindow::For(Duration::from_mins(1)));
        assert_eq!(rate_window(45_011, false), RateWindow::For(Duration::from_mins(1)));
        assert_eq!(rate_window(44_990, false), RateWindow::For(Duration::from_secs(1)));
    }
}
