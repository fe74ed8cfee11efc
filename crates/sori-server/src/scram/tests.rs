//! The exchange by itself, with the messages of RFC 7677 section 3.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use super::*;
use std::sync::OnceLock;

const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const BROKER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/// Made once, as that takes a while without optimisation.
fn credentials() -> Arc<Credentials> {
    static MADE: OnceLock<Arc<Credentials>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let mut salt = [0; SALT_BYTES];
        Base64::decode("W22ZaJ0SNY7soEsUEjb6gQ==", &mut salt).expect("the example's salt");
        let mut credentials = Credentials::new(4096).expect("random numbers");
        let credential = Credential::of_password("pencil", salt, 4096);
        credentials.insert("user", credential.clone());
        credentials.insert("a,b=c", credential);
        Arc::new(credentials)
    });
    Arc::clone(made)
}

fn conversation(required_user: Option<&str>) -> Conversation {
    Conversation::new(credentials(), required_user, Some(BROKER_NONCE.into()))
}

/// What the broker says, or `None` when it refuses.
fn say(conversation: &mut Conversation, message: &str) -> Option<String> {
    let data = match conversation.step(Some(message.as_bytes())) {
        Step::Continue(data) | Step::Done(_, Some(data)) => data,
        Step::Refuse(code) => {
            assert_eq!(code, ReasonCode::NotAuthorized);
            return None;
        }
        Step::Done(_, None) => unreachable!("the last message proves the broker"),
    };
    Some(String::from_utf8(data).expect("text"))
}

#[test]
fn the_example_of_rfc_7677() {
    for required_user in [None, Some("user")] {
        let mut conversation = conversation(required_user);
        assert_eq!(say(&mut conversation, CLIENT_FIRST).as_deref(), Some(SERVER_FIRST));
        let step = conversation.step(Some(CLIENT_FINAL.as_bytes()));
        let Step::Done(identity, data) = step else { panic!("it is right: {step:?}") };
        assert_eq!(identity.user_name.as_deref(), Some("user"));
        assert!(!identity.is_internal);
        assert_eq!(data.as_deref(), Some(SERVER_FINAL.as_bytes()));
        assert_eq!(say(&mut conversation, CLIENT_FINAL), None, "a proof is good once");
    }
}

#[test]
fn first_messages_that_are_none() {
    let wrong = [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,n=user,r=",
        "n,,r=nonce,n=user",
        "n,,n=,r=nonce",
        "n,,n=us=er,r=nonce",
        "n,,n=user=2,r=nonce",
        "n,,n=user,r=non ce",
        "n,,n=user,r=nönce",
        "n,,n=us\0er,r=nonce",
        "n,,m=must,n=user,r=nonce",
        "n,,n=user,r=nonce,m=must",
        "n,,n=user,r=nonce,x",
        "n,,n=user,r=nonce,x=",
        "n,,n=user,r=nonce,",
        "n,a=other,n=user,r=nonce",
        "n,user,n=user,r=nonce",
        "p=tls-unique,,n=user,r=nonce",
        "x,,n=user,r=nonce",
        "c=biws,r=nonce,p=AAAA",
    ];
    for message in wrong {
        let mut conversation = conversation(None);
        assert_eq!(say(&mut conversation, message), None, "{message}");
        assert_eq!(say(&mut conversation, CLIENT_FIRST), None, "one attempt for each exchange");
    }
    let mut conversation = conversation(None);
    assert!(matches!(conversation.step(None), Step::Refuse(ReasonCode::NotAuthorized)));
    assert!(matches!(conversation.step(Some(b"\xFF")), Step::Refuse(ReasonCode::NotAuthorized)));
}

#[test]
fn first_messages_that_are_unusual() {
    for message in [
        "y,,n=user,r=nonce",
        "n,a=user,n=user,r=nonce",
        "n,,n=user,r=nonce,x=1,y=2",
        "n,,n=a=2Cb=3Dc,r=nonce",
        "n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=nonce",
    ] {
        let answer = say(&mut conversation(None), message).expect(message);
        assert_eq!(answer, format!("r=nonce{BROKER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), "{message}");
    }
}

#[test]
fn last_messages_that_prove_nothing() {
    let (without_proof, proof) = CLIENT_FINAL.split_once(",p=").expect("a proof");
    let wrong = [
        String::new(),
        without_proof.into(),
        format!("{without_proof},p="),
        format!("{without_proof},p={}", &proof[..40]),
        format!("{without_proof},p={proof}AAAA"),
        format!("{without_proof},p={proof},x=1"),
        format!("{without_proof},p={}", proof.replace('d', "e")),
        // Signed text, so the proof is of another one.
        format!("{without_proof},x=1,p={proof}"),
        CLIENT_FINAL.replace("biws", "eSws"),
        CLIENT_FINAL.replace("biws", "biw="),
        CLIENT_FINAL.replace("hNlF$k0", "hNlF$k1"),
        CLIENT_FINAL.replace("r=rOpr", "r=rOpR"),
        format!("r=x,{CLIENT_FINAL}"),
        CLIENT_FIRST.into(),
    ];
    for message in wrong {
        let mut conversation = conversation(None);
        say(&mut conversation, CLIENT_FIRST).expect("a challenge");
        assert_eq!(say(&mut conversation, &message), None, "{message}");
        assert_eq!(say(&mut conversation, CLIENT_FINAL), None, "one attempt for each exchange");
    }
}

#[test]
fn only_the_user_that_was_named_is_authenticated() {
    assert_eq!(say(&mut conversation(Some("other")), CLIENT_FIRST), None);
}

#[test]
fn a_user_that_does_not_exist_looks_like_one_that_does() {
    let credentials = credentials();
    let challenge = |name: &str| {
        let mut conversation = Conversation::new(Arc::clone(&credentials), None, Some("nonce".into()));
        let answer = say(&mut conversation, &format!("n,,n={name},r=r")).expect("a challenge");
        // Whatever the proof: nobody is let in, and the reason is the same as for a wrong password.
        let proof = Base64::encode_string(&[7; 32]);
        assert_eq!(say(&mut conversation, &format!("c=biws,r=rnonce,p={proof}")), None);
        answer
    };
    let (known, unknown) = (challenge("user"), challenge("nobody"));
    assert_eq!(known.len(), unknown.len());
    assert_eq!(known.split(",s=").next(), unknown.split(",s=").next());
    assert!(unknown.ends_with(",i=4096"));
    assert_eq!(unknown, challenge("nobody"), "the same user has the same salt");
    assert_ne!(unknown, challenge("nobodys"));
}

const CLIENT_KEY: [u8; 32] = [7; 32];

/// A challenge of which the client's key is known.
fn challenged(is_known: bool) -> Challenged {
    Challenged {
        user_name: "somebody".into(),
        credential: Credential::new([0; SALT_BYTES], Sha256::digest(CLIENT_KEY).into(), [0; 32]),
        is_known,
        binding: "biws".into(),
        nonce: "rn".into(),
        auth_message: "n=somebody,r=r,r=rn,".into(),
    }
}

/// client-final-message of who has the key.
fn signed(without_proof: &str) -> String {
    let signature = hmac(&Sha256::digest(CLIENT_KEY), format!("n=somebody,r=r,r=rn,{without_proof}").as_bytes());
    let proof: [u8; 32] = std::array::from_fn(|at| CLIENT_KEY[at] ^ signature[at]);
    format!("{without_proof},p={}", Base64::encode_string(&proof))
}

#[test]
fn who_has_the_key_must_still_say_what_was_agreed() {
    for right in ["c=biws,r=rn", "c=biws,r=rn,x=1"] {
        assert!(challenged(true).verify(&signed(right)).is_some(), "{right}");
    }
    for wrong in
        ["c=biws,r=r", "c=biws,r=rnn", "c=eSws,r=rn", "c=,r=rn", "r=rn,c=biws", "c=biws,r=rn,m=1", "c=biws", "r=rn"]
    {
        assert!(challenged(true).verify(&signed(wrong)).is_none(), "{wrong}");
    }
}

/// Even a right proof, which nobody can make for a made-up credential, does not let in a user that does not exist.
#[test]
fn a_right_proof_for_nobody_is_refused() {
    assert!(challenged(false).verify(&signed("c=biws,r=rn")).is_none());
}

#[test]
fn without_random_numbers_nobody_comes_in() {
    let mut conversation = Conversation::new(credentials(), None, None);
    assert_eq!(say(&mut conversation, CLIENT_FIRST), None);
}

#[test]
fn every_exchange_has_a_nonce_of_its_own() {
    let access = ScramAccess::new(credentials(), Arc::new(sori_broker::OpenAccess));
    let login = Login {
        client_id: "c",
        user_name: None,
        password: None,
        is_proven: false,
        allow_anonymous: false,
        version: sori_mqtt::Version::V5,
        address: "",
        place: 0,
        answer_to: (sori_broker::ShardId(0), sori_broker::ConnectionId::NONE),
    };
    let nonces: std::collections::HashSet<Vec<u8>> = (0..16)
        .map(|_| {
            let mut exchange = access.exchange(METHOD, &login).expect("the method is known");
            let Step::Continue(data) = exchange.step(Some(CLIENT_FIRST.as_bytes())) else { panic!("a challenge") };
            data
        })
        .collect();
    assert_eq!(nonces.len(), 16);
    assert!(access.exchange("SCRAM-SHA-1", &login).is_none());
    assert!(access.exchange("SCRAM-SHA-256-PLUS", &login).is_none());
}
