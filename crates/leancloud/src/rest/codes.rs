//! SMS codes as LeanCloud clients ask for them and answer: by number and code, without the challenge's id.

use account::challenge::{ChallengeRef, Origin, Purpose};
use account::codes::{CodeCheck, CodeRequest};
use account::phone_binding::{CodeAnswer, PhoneBinding};
use domain::Actor;
use serde_json::{Map, Value};

use super::RestError;
use super::objects::{Caller, Rest};
use super::users::checked_phone;

/// The address a code was asked from stands for the device, where the answer names nothing but the code.
const RESET_DEVICE: &str = "leancloud-password-reset";

/// Which call a code is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeCall {
    /// `requestSmsCode` and `requestLoginSmsCode`.
    Login,
    /// `requestPasswordResetBySmsCode`.
    PasswordReset,
    /// `requestMobilePhoneVerify`.
    VerifyPhone,
    /// `requestChangePhoneNumber`.
    ChangePhone,
}

impl CodeCall {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Login => Purpose::Login,
            Self::PasswordReset => Purpose::ResetPassword,
            Self::VerifyPhone => Purpose::VerifyPhone,
            Self::ChangePhone => Purpose::BindPhone,
        }
    }
}

impl Rest {
    /// Sends a code. The answer is the same whether the number has an account or not.
    ///
    /// # Errors
    /// [`RestError::BadPhone`], [`RestError::SmsTooFrequent`], [`RestError::CaptchaNeeded`], [`RestError::SmsTemplate`].
    pub async fn request_code(
        &self,
        caller: &Caller,
        call: CodeCall,
        body: &Map<String, Value>,
    ) -> Result<(), RestError> {
        // Texts of one's own, and voice calls, are not sent: templates are the operator's.
        let is_voice = body.get("smsType").and_then(Value::as_str) == Some("voice");
        if is_voice || body.contains_key("template") {
            return Err(RestError::SmsTemplate);
        }
        let phone = body.get("mobilePhoneNumber").and_then(Value::as_str).ok_or(RestError::PhoneMissing)?;
        let captcha = body.get("validate_token").and_then(Value::as_str).map(str::to_owned);
        let origin = if call == CodeCall::PasswordReset { reset_origin(&caller.origin) } else { caller.origin.clone() };
        let request = CodeRequest {
            purpose: call.purpose(),
            phone: checked_phone(phone)?,
            origin,
            captcha,
            is_findable_by_phone: true,
            is_spared_captcha: self.ports.spares_captcha,
        };
        self.ports.accounts.request_code(code_actor(caller, call)?, request).await?;
        Ok(())
    }

    /// `verifySmsCode/:code`: shows that the number is at hand; the code is used up.
    ///
    /// # Errors
    /// [`RestError::SmsCode`].
    pub async fn verify_code(&self, caller: &Caller, code: &str, body: &Map<String, Value>) -> Result<(), RestError> {
        let phone = body.get("mobilePhoneNumber").and_then(Value::as_str).ok_or(RestError::PhoneMissing)?;
        let challenge = ChallengeRef::Phone(checked_phone(phone)?);
        let origin = caller.origin.clone();
        let check = CodeCheck { purpose: Purpose::Login, challenge, code: code.to_owned(), origin };
        Ok(self.ports.accounts.prove_phone(&Actor::App, check).await?)
    }

    /// `verifyMobilePhone/:code`, for the number written in the signed-in account.
    ///
    /// # Errors
    /// [`RestError::SmsCode`], [`RestError::NotOwnUser`] without a session.
    pub async fn verify_own_phone(&self, caller: &Caller, code: &str) -> Result<(), RestError> {
        let Actor::User(user) = &caller.actor else { return Err(RestError::NotOwnUser) };
        let user = self.ports.accounts.account(&caller.actor, user.user).await?;
        let challenge = ChallengeRef::Phone(user.phone.ok_or(RestError::PhoneMissing)?);
        let answer = CodeAnswer { challenge, code: code.to_owned() };
        self.ports.accounts.verify_phone(&caller.actor, answer, caller.origin.clone()).await?;
        Ok(())
    }

    /// `resetPasswordBySmsCode/:code`. SDKs send no number: then the code is the newest asked for from this address.
    ///
    /// # Errors
    /// [`RestError::SmsCode`], [`RestError::PasswordMissing`].
    pub async fn reset_password(
        &self,
        caller: &Caller,
        code: &str,
        body: &Map<String, Value>,
    ) -> Result<(), RestError> {
        let password = body.get("password").and_then(Value::as_str).ok_or(RestError::PasswordMissing)?;
        let phone = body.get("mobilePhoneNumber").and_then(Value::as_str).map(checked_phone).transpose()?;
        let challenge = phone.map_or(ChallengeRef::OwnDevice, ChallengeRef::Phone);
        let answer = CodeAnswer { challenge, code: code.to_owned() };
        let origin = reset_origin(&caller.origin);
        Ok(self.ports.accounts.reset_user_password(&Actor::App, answer, password, origin).await?)
    }

    /// `changePhoneNumber`, by a code sent to the new number.
    ///
    /// # Errors
    /// [`RestError::SmsCode`], [`RestError::PhoneTaken`]; [`RestError::NotFromClients`] when the old number is proven
    /// and the sign-in not recent.
    pub async fn change_phone(&self, caller: &Caller, body: &Map<String, Value>) -> Result<(), RestError> {
        let Actor::User(_) = &caller.actor else { return Err(RestError::NotOwnUser) };
        let part = |key: &str| body.get(key).and_then(Value::as_str);
        let phone = checked_phone(part("mobilePhoneNumber").ok_or(RestError::PhoneMissing)?)?;
        let code = part("code").ok_or(RestError::SmsCode)?.to_owned();
        let new = CodeAnswer { challenge: ChallengeRef::Phone(phone), code };
        let binding = PhoneBinding { new, old: None, origin: caller.origin.clone() };
        self.ports.accounts.bind_phone(&caller.actor, binding).await?;
        Ok(())
    }
}

/// Sessions say nothing where signing in is meant; elsewhere the code belongs to the account.
fn code_actor(caller: &Caller, call: CodeCall) -> Result<&Actor, RestError> {
    match (call.purpose().needs_session(), &caller.actor) {
        (false, _) => Ok(&Actor::App),
        (true, Actor::User(_)) => Ok(&caller.actor),
        (true, _) => Err(RestError::NotOwnUser),
    }
}

fn reset_origin(origin: &Origin) -> Origin {
    Origin { device: Some(format!("{RESET_DEVICE}:{}", origin.address)), ..origin.clone() }
}
