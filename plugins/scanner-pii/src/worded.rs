//! Names of fields that are more than one word, or not English.
//!
//! Invariant: these words name a field where a separator or a verb binds a value to them; what the value then is,
//! the same rules decide as for every other field.

use crate::classify::Class;
use crate::kind::Kind;
use crate::literals::{Cue, Hit, Start};
use crate::scan::Scan;
use crate::text::{ALNUM, ALPHA, KEY, Text, is};
use crate::{assign, csv, users, value};

/// Names in lower case, and what they hold. Case is ignored for ASCII alone, so capitals beyond it stand by themselves.
pub(crate) const NAMES: &[(&str, Class)] = &[
    ("data source", Class::Host),
    ("mot de passe", Class::Password),
    ("contraseña", Class::Password),
    ("contrasenya", Class::Password),
    ("senha", Class::Password),
    ("palavra-passe", Class::Password),
    ("hasło", Class::Password),
    ("wachtwoord", Class::Password),
    ("lösenord", Class::Password),
    ("passord", Class::Password),
    ("adgangskode", Class::Password),
    ("salasana", Class::Password),
    ("heslo", Class::Password),
    ("jelszó", Class::Password),
    ("parolă", Class::Password),
    ("parola", Class::Password),
    ("şifre", Class::Password),
    ("пароль", Class::Password),
    ("Пароль", Class::Password),
    ("パスワード", Class::Password),
    ("密码", Class::Password),
    ("密碼", Class::Password),
    ("비밀번호", Class::Password),
    ("clave", Class::Password),
    ("비번", Class::Password),
    ("kenncode", Class::Password),
    ("zugangscode", Class::Password),
    ("wlan-schlüssel", Class::Password),
    ("clé wifi", Class::Password),
    ("κωδικός", Class::Password),
    ("Κωδικός", Class::Password),
    ("Şifre", Class::Password),
    ("κωδικό", Class::Password),
    ("lozinka", Class::Password),
    ("geslo", Class::Password),
    ("slaptažodis", Class::Password),
    ("parool", Class::Password),
    ("mật khẩu", Class::Password),
    ("kata sandi", Class::Password),
    ("รหัสผ่าน", Class::Password),
    ("كلمة المرور", Class::Password),
    ("סיסמה", Class::Password),
    ("पासवर्ड", Class::Password),
    ("şifresi", Class::Password),
    ("şifrem", Class::Password),
    ("пароля", Class::Password),
    ("парол", Class::Password),
    ("lykilorð", Class::Password),
    ("fjalëkalimi", Class::Password),
    ("wi-fi key", Class::Password),
    ("wifi key", Class::Password),
    ("benutzername", Class::Username),
    ("nutzername", Class::Username),
    ("benutzer", Class::Username),
    ("anmeldename", Class::Username),
    ("usuario", Class::Username),
    ("usuário", Class::Username),
    ("utilizador", Class::Username),
    ("nom d'utilisateur", Class::Username),
    ("nom d’utilisateur", Class::Username),
    ("identifiant", Class::Username),
    ("nome utente", Class::Username),
    ("utente", Class::Username),
    ("gebruikersnaam", Class::Username),
    ("användarnamn", Class::Username),
    ("nazwa użytkownika", Class::Username),
    ("użytkownik", Class::Username),
    ("логин", Class::Username),
    ("Логин", Class::Username),
    ("ユーザー名", Class::Username),
    ("ユーザ名", Class::Username),
    ("用户名", Class::Username),
    ("아이디", Class::Username),
    ("uživatel", Class::Username),
    ("felhasználó", Class::Username),
    ("käyttäjätunnus", Class::Username),
    ("käyttäjä", Class::Username),
    ("bruger", Class::Username),
    ("användare", Class::Username),
    ("kullanıcı adı", Class::Username),
    ("χρήστης", Class::Username),
    ("ユーザーid", Class::Username),
    ("계정", Class::Username),
    ("账号", Class::Username),
    ("用户", Class::Username),
    ("pengguna", Class::Username),
    ("korisnik", Class::Username),
];

/// A telephone number follows.
pub(crate) const PHONE: &[&str] = &[
    "telefono",
    "teléfono",
    "telefone",
    "telefonnummer",
    "telefoonnummer",
    "telefonu",
    "téléphone",
    "tél",
    "rufnummer",
    "handynummer",
    "handy:",
    "handy-nr",
    "handynr",
    "nummer ist",
    "nummer lautet",
    "mobilnummer",
    "mobiltelefon",
    "celular",
    "cellulare",
    "telemóvel",
    "móvil",
    "movil",
    "portable :",
    "portable: ",
    "mon numéro est",
    "mi número es",
    "numerem",
    "rufen sie mich unter",
    "erreichen sie mich unter",
    "erreichbar unter",
    "telefoon",
    "puhelin",
    "телефон",
    "電話",
    "携帯",
    "电话",
    "手机",
    "전화",
    "κινητό",
    "Κινητό",
    "Τηλέφωνο",
    "Телефон",
    "Мобильный",
    "Тел.",
    "τηλέφωνο",
    "telefonum",
    "мобильный",
    "numero on",
];

/// Names of fields and columns of records that are not all ASCII; `vocab` knows what they mean.
pub(crate) const FIELDS: &[&str] = &[
    "prénom",
    "prénoms",
    "né(e) le",
    "née le",
    "straße",
    "adhérent",
    "dirección",
    "población",
    "endereço",
    "imię",
    "jméno",
    "příjmení",
    "doğum",
    "født",
    "född",
    "fødsel",
    "födelse",
    "narození",
    "születés",
    "név",
    "soyadı",
    "имя",
    "Имя",
    "фамилия",
    "Фамилия",
    "рождения",
    "Рождения",
    "адрес",
    "Адрес",
    "氏名",
    "姓名",
    "お名前",
    "生年月日",
    "住所",
    "地址",
    "이름",
];

/// A date of birth follows.
pub(crate) const BIRTHS: &[&str] = &[
    "geboren ",
    "nasci ",
    "nascido ",
    "nascida ",
    "născut ",
    "născută ",
    "nașterii",
    "született",
    "γέννησης",
    "doğum tarihim",
    "doğum tarihi",
    "рождения",
    "urodzony ",
    "urodzona ",
    "narozen ",
    "född ",
    "født ",
    "syntynyt ",
];

/// All words, and what they start.
pub(crate) fn table() -> impl Iterator<Item = (&'static str, Start)> {
    let names = NAMES.iter().enumerate().map(|(index, (literal, _))| (*literal, Start::Worded(index)));
    let phones = PHONE.iter().map(|literal| (*literal, Start::Cue(Cue::Phone)));
    let leads = crate::credentials::LEADS.iter().enumerate();
    let leads = leads.map(|(index, (literal, _))| (*literal, Start::Lead(index)));
    let births = BIRTHS.iter().map(|literal| (*literal, Start::Birth));
    names.chain(phones).chain(leads).chain(births).chain(FIELDS.iter().map(|literal| (*literal, Start::Field)))
}

/// A word and where in it the first byte beyond ASCII stands.
type Word = (usize, &'static str, Start);

/// What is passed over in one step where all of it is ASCII.
const CHUNK: usize = 64;

/// The words that are not all ASCII, by their first byte beyond it: few texts have one, and no text pays for more.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    by_lead: Vec<Vec<Word>>,
}

impl Index {
    pub(crate) fn new() -> Self {
        let mut by_lead = vec![Vec::new(); 256];
        for (literal, start) in table() {
            if let Some(offset) = literal.bytes().position(|b| b >= 0x80)
                && let Some(words) = literal.as_bytes().get(offset).and_then(|lead| by_lead.get_mut(usize::from(*lead)))
            {
                words.push((offset, literal, start));
            }
        }
        Self { by_lead }
    }

    /// All occurrences.
    pub(crate) fn find(&self, text: &[u8], mut hit: impl FnMut(Hit)) {
        let (chunks, rest) = text.as_chunks::<CHUNK>();
        let chunks = chunks.iter().map(<[u8; CHUNK]>::as_slice).chain([rest]);
        for (n, chunk) in chunks.enumerate() {
            // Without a branch for each byte, this is a handful of vector instructions.
            if chunk.iter().fold(0, |all, byte| all | byte) < 0x80 {
                continue;
            }
            for (i, byte) in chunk.iter().enumerate() {
                if *byte >= 0xc2 {
                    self.at(text, n * CHUNK + i, *byte, &mut hit);
                }
            }
        }
    }

    /// The words that have `lead`, which stands at `i`, as their first byte beyond ASCII.
    fn at(&self, text: &[u8], i: usize, lead: u8, hit: &mut impl FnMut(Hit)) {
        for (offset, literal, what) in self.by_lead.get(usize::from(lead)).into_iter().flatten() {
            let Some(start) = i.checked_sub(*offset) else {
                continue;
            };
            let end = start + literal.len();
            if text.get(start..end).is_some_and(|found| found.eq_ignore_ascii_case(literal.as_bytes())) {
                hit(Hit { start, end, what: *what });
            }
        }
    }
}

/// What binds a password to the word before it, in the order in which they may follow one another.
pub(crate) const VERBS: &[&str] = &[
    "is ", "was ", "set ", "to ", "now ", "=> ", "-> ", "lautet ", "ist ", "est ", "es ", "è ", "é ", "jest ", "är ",
    "er ", ": ",
];

/// A name of [`NAMES`] stands at `start..end`.
pub(crate) fn matched(scan: &mut Scan<'_>, index: usize, start: usize, end: usize) {
    let text = &scan.text;
    let Some((_, class)) = NAMES.get(index) else {
        return;
    };
    // A literal inside another word, or one that goes on.
    if is(text.before(start), ALNUM) && !text.after_escape(start) || is(text.at(end), KEY) {
        return;
    }
    csv::consider(scan, start, end);
    let Some(found) = value::after(&scan.text, &mut scan.quotes, start, end) else {
        return;
    };
    // "utilizador é jo7", "uživatel jo.doe, heslo …": without a separator, a name has a digit or a dot in it.
    if *class == Class::Username && found.join == value::Join::Blank {
        let verb = VERBS.iter().find(|verb| scan.text.has(found.start, verb)).map_or(0, |verb| verb.len());
        let at = found.start + verb;
        if let Some(stop) = users::name_end(scan, at)
            && (scan.text.slice(at, stop).iter().any(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_'))
                || names_password(&scan.text, stop))
            && is(scan.text.at(at), ALPHA)
            && !matches!(scan.text.at(stop), b'(' | b'/' | b'=' | b':')
        {
            scan.emit(Kind::Username, at, stop, 0.7, false, "account cue");
        }
        return;
    }
    if scan.value_again(start, found.end) <= assign::NESTED {
        assign::field(scan, *class, start, found);
    }
}

/// A word for passwords stands shortly behind `at`.
fn names_password(text: &Text<'_>, at: usize) -> bool {
    let near = text.slice(at, (at + 32).min(text.line_end(at)));
    text.tick(near.len());
    NAMES
        .iter()
        .filter(|(_, class)| *class == Class::Password)
        .any(|(word, _)| near.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes())))
}

/// The first words of names that are written apart: `API key: …`.
const KEY_WORDS: &[&str] = &[
    "api",
    "secret",
    "access",
    "private",
    "auth",
    "encryption",
    "signing",
    "master",
    "license",
    "account",
    "storage",
    "unseal",
    "recovery",
];

/// Where the name begins whose last word stands at `start..end`.
pub(crate) fn whole_name(text: &Text<'_>, start: usize, end: usize) -> usize {
    let mut whole = start;
    if text.before(start) == b' ' && end - start == 3 && text.has(start, "key") {
        // `Secret Access Key` has three.
        for _ in 0..2 {
            if text.before(whole) != b' ' {
                break;
            }
            let word = text.run_back(whole - 1, ALPHA, 16);
            let first = text.slice(word, whole - 1);
            if !KEY_WORDS.iter().any(|known| first.eq_ignore_ascii_case(known.as_bytes())) {
                break;
            }
            whole = word;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use crate::testing::{all, found, nothing, one};

    #[test]
    fn passwords_in_other_languages() {
        for text in [
            "Mot de passe : Kestrel81!",
            "Mot de passe\u{a0}: Kestrel81!\n",
            "Le mot de passe est Kestrel81!, merci",
            "Contraseña: Kestrel81!\nx",
            "La contraseña es Kestrel81! y no funciona",
            "senha: Kestrel81!, e-mail",
            "Das Passwort lautet Kestrel81! – bitte",
            "Passwort: „Kestrel81!“",
            "hasło: Kestrel81!, konto",
            "パスワード：Kestrel81!\nx",
            "密码：Kestrel81!，用户名：x",
            "Пароль: Kestrel81!\n",
            "id;usuario;contraseña\n1;jdoe7;Kestrel81!\n",
        ] {
            assert_eq!(one(text, "PASSWORD"), "Kestrel81!", "{text}");
        }
        nothing("mot de passe oublié ?");
        nothing("contraseña: ${CLAVE}");
    }

    #[test]
    fn accounts_in_other_languages() {
        for text in ["Benutzername: jdoe7\n", "Usuario: jdoe7", "Identifiant : jdoe7\nx", "ユーザー名：jdoe7\u{3000}x"]
        {
            assert_eq!(all(text), [("USERNAME", "jdoe7")], "{text}");
        }
    }

    #[test]
    fn telephones_in_other_languages() {
        for (text, number) in [
            ("Telefonnummer lautet 0160 5710899, x", "0160 5710899"),
            ("móvil 647 890 684, x", "647 890 684"),
            ("電話番号 03-6260-5712、x", "03-6260-5712"),
            ("celular é (11) 91924-1904", "(11) 91924-1904"),
            ("Rufen Sie mich unter 089/2243985 an", "089/2243985"),
        ] {
            assert_eq!(found(text, "PHONE"), [number], "{text}");
        }
    }

    #[test]
    fn names_of_several_words() {
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(one(&format!("AWS Secret Access Key [None]: {key}\n"), "AWS_SECRET_KEY"), key);
        assert_eq!(one("API key = 9f8e7d6c5b4a39281706", "GENERIC_SECRET"), "9f8e7d6c5b4a39281706");
        assert_eq!(one("Unseal Key 1: 9f8e7d6c5b4a39281706", "GENERIC_SECRET"), "9f8e7d6c5b4a39281706");
        nothing("partition key: 9f8e7d6c5b4a39281706");
    }
}
