//! Signing in as somebody whom another provider has proven, and a number that it has proven.
//!
//! Whoever calls this has traded the client's code with the provider: identity and phone are facts here. The native
//! sign-in with a mini-program and LeanCloud's `authData` are both this use case.

use std::time::Duration;

use domain::actor::AccessError;
use domain::id::UserId;
use domain::{Actor, Phone};
use serde_json::{Value, json};

use crate::AccountError;
use crate::challenge::Origin;
use crate::codes::is_public;
use crate::counter::{LedgerKey, LedgerScope};
use crate::identity::{self, ProvenIdentity, WeappSeat};
use crate::service::Accounts;
use crate::sign_in::{Role, SignedIn};
use crate::unit::AccountUnit;
use crate::user::{User, identities};

/// Random characters of a name nobody chose.
const NAME_CHARS: usize = 25;

/// Somebody another provider has proven.
#[derive(Clone)]
pub struct IdentitySignIn {
    pub proven: ProvenIdentity,
    /// Which profile is to exist afterwards; `None` leaves profiles alone, as LeanCloud does.
    pub role: Option<Role>,
    /// A number the provider has proven at the same time.
    pub phone: Option<Phone>,
    pub device_label: Option<String>,
    /// Whether an account is made where there is none.
    pub makes_account: bool,
}

impl Accounts {
    /// Counts a sign-in with an identity against the address it comes from, before the provider is asked anything.
    ///
    /// # Errors
    /// [`AccountError::SignInThrottled`]; [`AccountError::Access`] for staff.
    pub async fn admit_identity_sign_in(&self, actor: &Actor, origin: &Origin) -> Result<(), AccountError> {
        actor.require(is_public(actor))?;
        if self.settings.codes.is_exempt(origin.address) {
            return Ok(());
        }
        let (now, window) = (self.clock.now(), self.settings.identities_per_address);
        let key = LedgerKey::new(LedgerScope::IdentityAddress, self.address_index(origin));
        let mut unit = self.store.begin().await?;
        let mut ledgers = unit.counters().lock_ledgers(&[key]).await?;
        for ledger in &mut ledgers {
            if let Some(wait) = ledger.wait(&[window], now) {
                return Err(AccountError::SignInThrottled { wait });
            }
            ledger.record(now, None, Duration::ZERO, window.within);
        }
        unit.counters().save_ledgers(&ledgers, now).await?;
        Ok(unit.commit().await?)
    }

    /// Signs in: finds the account of the identity, or of the proven number, or makes one.
    ///
    /// # Errors
    /// [`AccountError::PhoneTaken`] when identity and number belong to two people; [`AccountError::IdentityUnknown`] when
    /// there is no account and none is to be made; [`AccountError::Access`] for staff.
    pub async fn sign_in_with_identity(
        &self,
        actor: &Actor,
        request: &IdentitySignIn,
    ) -> Result<SignedIn, AccountError> {
        actor.require(is_public(actor))?;
        match self.try_sign_in(request).await {
            // Two first sign-ins at once: the other one made the account.
            Err(AccountError::Conflict) => self.try_sign_in(request).await,
            other => other,
        }
    }

    async fn try_sign_in(&self, request: &IdentitySignIn) -> Result<SignedIn, AccountError> {
        let mut unit = self.store.begin().await?;
        let holder = identity::holder(unit.as_mut(), &request.proven).await?;
        let (user, is_new) = match (&request.phone, holder) {
            (Some(phone), holder) => self.person_of_both(unit.as_mut(), holder, phone, request).await?,
            (None, Some(user)) => (user, false),
            (None, None) if request.makes_account => (self.new_user(unit.as_mut()).await?, true),
            (None, None) => return Err(AccountError::IdentityUnknown),
        };
        let mut next = user.clone();
        identity::attach(unit.as_mut(), &mut next, &request.proven).await?;
        let user = if next.auth_data == user.auth_data { user } else { self.save_user(unit.as_mut(), next).await? };
        if let Some(role) = request.role {
            self.ensure_profile(unit.as_mut(), role, user.id, user.verified_phone()).await?;
        }
        let method = match &request.proven.seat {
            Some(seat) => {
                self.note_in_profile(unit.as_mut(), user.id, seat).await?;
                "wechat"
            }
            None => "identity",
        };
        let label = request.device_label.as_deref();
        let signed_in = self.open_user_session(unit.as_mut(), user, is_new, label, method).await?;
        unit.commit().await?;
        Ok(signed_in)
    }

    /// Whose sign-in it is when the provider has proven an identity and a number.
    async fn person_of_both(
        &self,
        unit: &mut dyn AccountUnit,
        holder: Option<User>,
        phone: &Phone,
        request: &IdentitySignIn,
    ) -> Result<(User, bool), AccountError> {
        let owner = unit.users().find_by_phone(phone).await?.filter(|user| user.is_phone_verified);
        match (holder, owner) {
            (None, Some(owner)) => Ok((owner, false)),
            (None, None) => self.user_of_proven_phone(unit, phone).await,
            (Some(holder), Some(owner)) if holder.id == owner.id => Ok((owner, false)),
            // An account that was made by a sign-in without a number gives way to the one with this number.
            (Some(holder), Some(owner)) if holder.verified_phone().is_none() => {
                self.detach(unit, holder, &request.proven).await?;
                Ok((owner, false))
            }
            (Some(_), Some(_)) => Err(AccountError::PhoneTaken),
            (Some(mut holder), None) if holder.verified_phone().is_none() => {
                self.release_unproven_phone(unit, phone).await?;
                holder.phone = Some(phone.clone());
                holder.is_phone_verified = true;
                let user = self.save_user(unit, holder).await?;
                self.carry_to_profiles(unit, &user, phone).await?;
                Ok((user, false))
            }
            // This person's number is another one; changing it is an act of its own.
            (Some(holder), None) => Ok((holder, false)),
        }
    }

    async fn new_user(&self, unit: &mut dyn AccountUnit) -> Result<User, AccountError> {
        let name = self.random.base62(NAME_CHARS).to_lowercase();
        let user = User::new(UserId(self.ids.next()), name, self.clock.now());
        unit.users().insert(&user).await?;
        Ok(user)
    }

    /// Takes the identity out of an account that gives way.
    async fn detach(
        &self,
        unit: &mut dyn AccountUnit,
        mut holder: User,
        proven: &ProvenIdentity,
    ) -> Result<(), AccountError> {
        let is_proven = |provider: &String, data: &Value| {
            let one = serde_json::Map::from_iter([(provider.clone(), data.clone())]);
            identities(&one).iter().any(|identity| proven.look_up.contains(identity))
        };
        holder.auth_data.retain(|provider, data| !is_proven(provider, data));
        let holder = self.save_user(unit, holder).await?;
        let Some(seat) = &proven.seat else { return Ok(()) };
        let now = self.clock.now();
        if let Some(mut patient) = unit.patients().find_by_user(holder.id).await? {
            patient.openids.remove(&seat.app);
            patient.updated_at = now;
            unit.patients().update(&patient).await?;
        }
        if let Some(mut doctor) = unit.doctors().find_by_user(holder.id).await?
            && doctor.openid.as_ref() == Some(&seat.openid)
        {
            (doctor.openid, doctor.updated_at) = (None, now);
            unit.doctors().update(&doctor).await?;
        }
        let event = self.audit_event(&Actor::System, "identity.move", format!("user:{}", holder.id));
        Ok(unit.audit().append_all(&[event]).await?)
    }

    /// The profile that the mini-program is for, if there is one, is reached by this identity.
    async fn note_in_profile(
        &self,
        unit: &mut dyn AccountUnit,
        user: UserId,
        seat: &WeappSeat,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        match seat.audience {
            Role::Patient => {
                let Some(mut patient) = unit.patients().find_by_user(user).await? else { return Ok(()) };
                let is_noted = patient.openids.get(&seat.app) == Some(&json!(seat.openid));
                let unionid = seat.unionid.clone().or(patient.unionid.clone());
                if !is_noted || patient.unionid != unionid {
                    patient.openids.insert(seat.app.clone(), Value::String(seat.openid.clone()));
                    (patient.unionid, patient.updated_at) = (unionid, now);
                    unit.patients().update(&patient).await?;
                }
            }
            Role::Doctor => {
                let Some(mut doctor) = unit.doctors().find_by_user(user).await? else { return Ok(()) };
                let unionid = seat.unionid.clone().or(doctor.unionid.clone());
                if doctor.openid.as_ref() != Some(&seat.openid) || doctor.unionid != unionid {
                    doctor.openid = Some(seat.openid.clone());
                    (doctor.unionid, doctor.updated_at) = (unionid, now);
                    unit.doctors().update(&doctor).await?;
                }
            }
        }
        Ok(())
    }

    /// Gives the signed-in account a number that a provider has proven, and its profiles with it.
    ///
    /// # Errors
    /// [`AccountError::PhoneTaken`]; [`AccountError::PhoneChangeUnproven`] when another number is verified and the
    /// sign-in is not recent; [`AccountError::Access`] without a user's session.
    pub async fn bind_proven_phone(&self, actor: &Actor, phone: &Phone) -> Result<User, AccountError> {
        let caller = actor.require_user()?;
        let mut unit = self.store.begin().await?;
        let mut user = unit.users().find(caller.user).await?.ok_or(AccessError::Unauthenticated)?;
        let replaced = user.verified_phone().cloned();
        let has_another = replaced.as_ref().is_some_and(|held| held != phone);
        if has_another && !self.is_fresh(unit.as_mut(), caller).await? {
            return Err(AccountError::PhoneChangeUnproven);
        }
        if user.phone.as_ref() != Some(phone) {
            self.release_unproven_phone(unit.as_mut(), phone).await?;
        }
        let before = user.phone.replace(phone.clone());
        user.is_phone_verified = true;
        let user = self.save_user(unit.as_mut(), user).await?;
        self.carry_to_profiles(unit.as_mut(), &user, phone).await?;
        let detail = json!({
            "from": before.map(|phone| self.keys.phone_index(&phone)),
            "to": self.keys.phone_index(phone),
            "method": "wechat",
        });
        let event = self.audit_detail(actor.label(), "phone.bind", format!("user:{}", user.id), detail);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        self.tell_replaced_number(replaced, &user).await;
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;
    use crate::identity::WEIXIN_UNIONID;
    use crate::memory::{Fixture, fixture, from};
    use crate::own_account::AccountChange;

    fn of(app: &str, openid: &str, role: Role) -> IdentitySignIn {
        of_union(app, openid, None, role)
    }

    fn of_union(app: &str, openid: &str, unionid: Option<&str>, role: Role) -> IdentitySignIn {
        let unionid = unionid.map(str::to_owned);
        let seat = WeappSeat { app: app.into(), audience: role, openid: openid.into(), unionid };
        let proven = ProvenIdentity::of_weapp(seat).across_apps(WEIXIN_UNIONID, false);
        IdentitySignIn { proven, role: Some(role), phone: None, device_label: None, makes_account: true }
    }

    async fn sign_in(f: &Fixture, request: &IdentitySignIn) -> Result<SignedIn, AccountError> {
        f.accounts.sign_in_with_identity(&Actor::Nobody, request).await
    }

    fn phone(text: &str) -> Phone {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_first_sign_in_makes_an_account_and_a_second_finds_it() {
        let f = fixture();
        let first = sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap();
        let second = sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap();
        assert!(first.is_new && !second.is_new);
        assert_eq!((second.user.id, second.patient), (first.user.id, first.patient));
        let state = f.state();
        assert_eq!(state.patients[0].openids["patient"], "o1");
        assert_eq!(state.users[0].auth_data["lc_weapp"]["openid"], "o1");
    }

    #[tokio::test]
    async fn one_person_in_two_apps_is_one_account_by_unionid() {
        let f = fixture();
        let first = sign_in(&f, &of_union("patient", "o1", Some("u1"), Role::Patient)).await.unwrap();
        let second = sign_in(&f, &of_union("doctor", "o2", Some("u1"), Role::Doctor)).await.unwrap();
        assert_eq!(second.user.id, first.user.id);
        assert_eq!(f.state().doctors[0].openid.as_deref(), Some("o2"));
        let again = sign_in(&f, &of("doctor", "o2", Role::Doctor)).await.unwrap();
        assert_eq!(again.user.id, first.user.id, "also without the unionid");
        assert_eq!(again.user.auth_data["lc_weapp_doctor"]["openid"], "o2");
    }

    #[tokio::test]
    async fn a_proven_number_finds_its_account() {
        let f = fixture();
        let by_sms = f.sign_in("13900000000").await;
        let request = IdentitySignIn { phone: Some(phone("13900000000")), ..of("patient", "o1", Role::Patient) };
        assert_eq!(sign_in(&f, &request).await.unwrap().user.id, by_sms.user.id);
        let without = sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap();
        assert_eq!(without.user.id, by_sms.user.id, "the identity is known now");
    }

    #[tokio::test]
    async fn an_account_without_a_number_gives_way_to_the_one_with_it() {
        let f = fixture();
        let by_sms = f.sign_in("13900000000").await;
        let shell = sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap();
        assert_ne!(shell.user.id, by_sms.user.id);
        let request = IdentitySignIn { phone: Some(phone("13900000000")), ..of("patient", "o1", Role::Patient) };
        assert_eq!(sign_in(&f, &request).await.unwrap().user.id, by_sms.user.id);
        let state = f.state();
        let left = state.patients.iter().find(|p| p.user_id == Some(shell.user.id)).unwrap();
        assert!(left.openids.is_empty(), "nobody is told of another's consultations");
    }

    #[tokio::test]
    async fn two_people_with_numbers_stay_two() {
        let f = fixture();
        f.sign_in("13900000000").await;
        let request = IdentitySignIn { phone: Some(phone("13900000001")), ..of("patient", "o1", Role::Patient) };
        sign_in(&f, &request).await.unwrap();
        let foreign = IdentitySignIn { phone: Some(phone("13900000000")), ..of("patient", "o1", Role::Patient) };
        assert!(matches!(sign_in(&f, &foreign).await, Err(AccountError::PhoneTaken)));
    }

    #[tokio::test]
    async fn a_proven_number_is_bound_and_a_taken_one_is_not() {
        let f = fixture();
        f.sign_in("13900000000").await;
        let token = sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap().session.token;
        let actor = f.accounts.resolve(&token).await.unwrap().unwrap().actor;
        let foreign = f.accounts.bind_proven_phone(&actor, &phone("13900000000")).await;
        assert!(matches!(foreign, Err(AccountError::PhoneTaken)));
        let user = f.accounts.bind_proven_phone(&actor, &phone("13900000007")).await.unwrap();
        assert_eq!(user.verified_phone().unwrap().national(), "13900000007");
        f.clock.advance(span::hours(1));
        let late = f.accounts.bind_proven_phone(&actor, &phone("13900000008")).await;
        assert!(matches!(late, Err(AccountError::PhoneChangeUnproven)));
    }

    #[tokio::test]
    async fn staff_cannot_sign_in_this_way() {
        let f = fixture();
        let admin = f.admin().await;
        let refused = f.accounts.sign_in_with_identity(&admin, &of("patient", "o1", Role::Patient)).await;
        assert!(matches!(refused, Err(AccountError::Access(_))));
    }

    /// As LeanCloud's clients sign in: no role, and the union's id first.
    fn of_leancloud(openid: &str, unionid: Option<&str>) -> IdentitySignIn {
        let mut request = of_union("patient", openid, unionid, Role::Patient);
        request.proven.look_up.sort_by_key(|identity| identity.provider != WEIXIN_UNIONID);
        IdentitySignIn { role: None, ..request }
    }

    #[tokio::test]
    async fn a_leancloud_client_and_a_native_one_of_a_person_have_one_account() {
        let f = fixture();
        let native = sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap();
        let legacy = sign_in(&f, &of_leancloud("o1", None)).await.unwrap();
        assert_eq!((legacy.user.id, legacy.is_new, legacy.patient), (native.user.id, false, native.patient));
        let first = sign_in(&f, &of_leancloud("o2", None)).await.unwrap();
        assert!(
            first.is_new && first.patient.is_none() && first.user.username.len() == NAME_CHARS,
            "no profile is made"
        );
        let later = sign_in(&f, &of("patient", "o2", Role::Patient)).await.unwrap();
        assert_eq!((later.user.id, later.is_new), (first.user.id, false));
    }

    #[tokio::test]
    async fn a_profile_that_is_there_is_reached_by_whoever_signs_in_without_asking_for_one() {
        let f = fixture();
        let native = sign_in(&f, &of_union("patient", "o1", Some("u1"), Role::Patient)).await.unwrap();
        let legacy = sign_in(&f, &of_leancloud("o9", Some("u1"))).await.unwrap();
        assert_eq!(legacy.user.id, native.user.id);
        assert_eq!(f.state().patients[0].openids["patient"], "o9");
    }

    #[tokio::test]
    async fn without_leave_no_account_is_made() {
        let f = fixture();
        let request = IdentitySignIn { makes_account: false, ..of_leancloud("o1", None) };
        assert!(matches!(sign_in(&f, &request).await, Err(AccountError::IdentityUnknown)));
        assert!(f.state().users.is_empty());
    }

    #[tokio::test]
    async fn an_identity_is_linked_once_and_can_be_given_up() {
        let f = fixture();
        let holder = sign_in(&f, &of_leancloud("o1", None)).await.unwrap();
        let other = f.sign_in("13900000000").await;
        let actor = f.accounts.resolve(&other.session.token).await.unwrap().unwrap().actor;
        let link =
            |openid: &str| AccountChange { link: vec![of_leancloud(openid, None).proven], ..AccountChange::default() };
        let taken = f.accounts.change_account(&actor, other.user.id, link("o1")).await;
        assert!(matches!(taken, Err(AccountError::IdentityTaken)));
        f.accounts.change_account(&actor, other.user.id, link("o2")).await.unwrap();
        assert_eq!(sign_in(&f, &of_leancloud("o2", None)).await.unwrap().user.id, other.user.id);
        let unlink = AccountChange { unlink: vec!["lc_weapp".into()], ..AccountChange::default() };
        f.accounts.change_account(&actor, other.user.id, unlink).await.unwrap();
        assert!(sign_in(&f, &of_leancloud("o2", None)).await.unwrap().is_new);
        assert_eq!(sign_in(&f, &of_leancloud("o1", None)).await.unwrap().user.id, holder.user.id);
    }

    #[tokio::test]
    async fn other_providers_are_the_same_use_case() {
        let f = fixture();
        let request =
            |id: &str| IdentitySignIn { proven: ProvenIdentity::of("anonymous", id), ..of_leancloud("x", None) };
        let first = sign_in(&f, &request("an-id-nobody-guesses")).await.unwrap();
        let again = sign_in(&f, &request("an-id-nobody-guesses")).await.unwrap();
        assert_eq!((first.is_new, again.is_new, again.user.id), (true, false, first.user.id));
        assert_eq!(first.user.auth_data["anonymous"]["id"], "an-id-nobody-guesses");
    }

    #[tokio::test]
    async fn sign_ins_of_one_address_are_held_back_before_the_provider_is_asked() {
        let f = fixture();
        let admit = async |address: &str| f.accounts.admit_identity_sign_in(&Actor::App, &from(address)).await;
        let window = f.accounts.settings.identities_per_address;
        for _ in 0..window.max {
            admit("192.0.2.1").await.unwrap();
        }
        let refused = admit("192.0.2.1").await;
        assert!(matches!(refused, Err(AccountError::SignInThrottled { wait }) if wait == window.within));
        assert!(admit("192.0.2.2").await.is_ok() && admit("10.0.0.1").await.is_ok(), "others are not");
        f.clock.advance(window.within);
        assert!(admit("192.0.2.1").await.is_ok());
    }

    #[tokio::test]
    async fn a_sign_in_without_a_text_message_does_not_count_as_a_used_code() {
        let f = fixture();
        sign_in(&f, &of("patient", "o1", Role::Patient)).await.unwrap();
        assert!(f.state().ledgers.keys().all(|key| key.scope != LedgerScope::CodeSuccessAll));
    }
}
