//! Signing in as somebody whom another provider has proven, and a number that it has proven.
//!
//! Whoever calls this has traded the client's code with the provider: openid, unionid and phone are facts here.

use domain::actor::AccessError;
use domain::id::UserId;
use domain::{Actor, Phone};
use serde_json::{Value, json};

use crate::AccountError;
use crate::codes::is_public;
use crate::service::Accounts;
use crate::sign_in::{Role, SignedIn};
use crate::unit::AccountUnit;
use crate::user::{AuthIdentity, User};

/// Provider of mini-program identities, as LeanCloud's clients name it.
pub const WEAPP: &str = "lc_weapp";
/// Provider of identities across apps.
pub const UNIONID: &str = "_weixin_unionid";
/// Random characters of a name nobody chose.
const NAME_CHARS: usize = 12;

/// Somebody a mini-program's provider has proven.
#[derive(Clone)]
pub struct IdentitySignIn {
    /// Own name of the app.
    pub app: String,
    pub openid: String,
    pub unionid: Option<String>,
    /// Which profile is to exist afterwards; `None` leaves profiles alone, as LeanCloud does.
    pub role: Option<Role>,
    /// A number the provider has proven at the same time.
    pub phone: Option<Phone>,
    pub device_label: Option<String>,
}

impl Accounts {
    /// Signs in: finds the account of the identity, or of the proven number, or makes one.
    ///
    /// # Errors
    /// [`AccountError::PhoneTaken`] when identity and number belong to two people; [`AccountError::Access`] for staff.
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
        let holder = self.holder_of(unit.as_mut(), request).await?;
        let (user, is_new) = match &request.phone {
            Some(phone) => self.person_of_both(unit.as_mut(), holder, phone, request).await?,
            None => match holder {
                Some(user) => (user, false),
                None => (self.new_user(unit.as_mut()).await?, true),
            },
        };
        let user = self.attach(unit.as_mut(), user, request).await?;
        if let Some(role) = request.role {
            self.ensure_profile(unit.as_mut(), role, user.id, user.verified_phone()).await?;
        }
        self.note_in_profiles(unit.as_mut(), user.id, request).await?;
        let label = request.device_label.as_deref();
        let signed_in = self.open_user_session(unit.as_mut(), user, is_new, label, "wechat").await?;
        self.commit_accepted(unit).await?;
        Ok(signed_in)
    }

    async fn holder_of(
        &self,
        unit: &mut dyn AccountUnit,
        request: &IdentitySignIn,
    ) -> Result<Option<User>, AccountError> {
        let identity = |provider: &str, uid: &str| AuthIdentity { provider: provider.to_owned(), uid: uid.to_owned() };
        let mut wanted = vec![identity(WEAPP, &request.openid), identity(&own_provider(&request.app), &request.openid)];
        wanted.extend(request.unionid.as_ref().map(|unionid| identity(UNIONID, unionid)));
        for identity in &wanted {
            if let Some(user) = unit.users().find_by_identity(identity).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
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
                self.detach(unit, holder, request).await?;
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
        let name = format!("wx-{}", self.random.base62(NAME_CHARS));
        let user = User::new(UserId(self.ids.next()), name, self.clock.now());
        unit.users().insert(&user).await?;
        Ok(user)
    }

    /// Writes the identity into the account, if it is not there.
    async fn attach(
        &self,
        unit: &mut dyn AccountUnit,
        user: User,
        request: &IdentitySignIn,
    ) -> Result<User, AccountError> {
        let mut next = user.clone();
        let own = own_provider(&request.app);
        let is_held = |provider: &str| next.auth_data.get(provider).and_then(|data| data.get("openid")).is_some();
        let is_this = |provider: &str| {
            next.auth_data.get(provider).and_then(|data| data.get("openid")) == Some(&json!(request.openid))
        };
        if !is_this(WEAPP) && !is_this(&own) {
            // The common name for the first app, an own one for each further app of the same person.
            let provider = if is_held(WEAPP) { own } else { WEAPP.to_owned() };
            next.auth_data.insert(provider, json!({ "openid": request.openid }));
        }
        if let Some(unionid) = &request.unionid {
            let held = next.auth_data.entry(UNIONID.to_owned()).or_insert_with(|| json!({ "uid": unionid }));
            if held.get("uid") != Some(&json!(unionid)) {
                *held = json!({ "uid": unionid });
            }
        }
        if next.auth_data == user.auth_data { Ok(user) } else { self.save_user(unit, next).await }
    }

    /// Takes the identity out of an account that gives way.
    async fn detach(
        &self,
        unit: &mut dyn AccountUnit,
        mut holder: User,
        request: &IdentitySignIn,
    ) -> Result<(), AccountError> {
        let openid = json!(request.openid);
        let unionid = request.unionid.as_ref().map(|unionid| json!(unionid));
        holder.auth_data.retain(|_, data| {
            data.get("openid") != Some(&openid) && (unionid.is_none() || data.get("uid") != unionid.as_ref())
        });
        let holder = self.save_user(unit, holder).await?;
        let now = self.clock.now();
        if let Some(mut patient) = unit.patients().find_by_user(holder.id).await? {
            patient.openids.remove(&request.app);
            patient.updated_at = now;
            unit.patients().update(&patient).await?;
        }
        if let Some(mut doctor) = unit.doctors().find_by_user(holder.id).await?
            && doctor.openid.as_ref() == Some(&request.openid)
        {
            (doctor.openid, doctor.updated_at) = (None, now);
            unit.doctors().update(&doctor).await?;
        }
        let event = self.audit_event(&Actor::System, "identity.move", format!("user:{}", holder.id));
        Ok(unit.audit().append_all(&[event]).await?)
    }

    /// The profile of the role is reached by this identity.
    async fn note_in_profiles(
        &self,
        unit: &mut dyn AccountUnit,
        user: UserId,
        request: &IdentitySignIn,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        match request.role {
            Some(Role::Patient) => {
                let Some(mut patient) = unit.patients().find_by_user(user).await? else { return Ok(()) };
                let is_noted = patient.openids.get(&request.app) == Some(&json!(request.openid));
                let unionid = request.unionid.clone().or(patient.unionid.clone());
                if !is_noted || patient.unionid != unionid {
                    patient.openids.insert(request.app.clone(), Value::String(request.openid.clone()));
                    (patient.unionid, patient.updated_at) = (unionid, now);
                    unit.patients().update(&patient).await?;
                }
            }
            Some(Role::Doctor) => {
                let Some(mut doctor) = unit.doctors().find_by_user(user).await? else { return Ok(()) };
                let unionid = request.unionid.clone().or(doctor.unionid.clone());
                if doctor.openid.as_ref() != Some(&request.openid) || doctor.unionid != unionid {
                    doctor.openid = Some(request.openid.clone());
                    (doctor.unionid, doctor.updated_at) = (unionid, now);
                    unit.doctors().update(&doctor).await?;
                }
            }
            None => {}
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
        let has_another = user.verified_phone().is_some_and(|held| held != phone);
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
        self.commit_accepted(unit).await?;
        Ok(user)
    }
}

/// Provider of a further app's identities.
fn own_provider(app: &str) -> String {
    format!("{WEAPP}_{app}")
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;
    use crate::memory::{Fixture, fixture};

    fn of(app: &str, openid: &str, role: Role) -> IdentitySignIn {
        IdentitySignIn {
            app: app.into(),
            openid: openid.into(),
            unionid: None,
            role: Some(role),
            phone: None,
            device_label: None,
        }
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
        let unionid = Some("u1".to_owned());
        let patient = IdentitySignIn { unionid: unionid.clone(), ..of("patient", "o1", Role::Patient) };
        let doctor = IdentitySignIn { unionid, ..of("doctor", "o2", Role::Doctor) };
        let first = sign_in(&f, &patient).await.unwrap();
        let second = sign_in(&f, &doctor).await.unwrap();
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
}
