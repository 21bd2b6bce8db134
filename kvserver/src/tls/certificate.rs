//! What a certificate says that rustls does not tell: whose it is, and from when to when it holds.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Any, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::CN;

/// From when to when a certificate holds, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    /// It holds from this second on.
    pub(super) from_s: u64,
    /// It holds to the end of this second.
    pub(super) to_s: u64,
}

/// From when to when a certificate holds. `None` if it cannot be read.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let validity = Certificate::from_der(certificate).ok()?.tbs_certificate.validity;
    Some(Validity {
        from_s: validity.not_before.to_unix_duration().as_secs(),
        to_s: validity.not_after.to_unix_duration().as_secs(),
    })
}

/// The one common name of a certificate's subject. Of several, none can be told to be the one that is meant.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let subject = Certificate::from_der(certificate).ok()?.tbs_certificate.subject;
    let parts = subject.0.iter().flat_map(|part| part.0.iter());
    let mut names = parts.filter(|part| part.oid == CN);
    let name = names.next()?;
    if names.next().is_some() {
        return None;
    }
    text(&name.value)
}

/// The text of a name, in one of the two ways in which it is written today.
fn text(value: &Any) -> Option<String> {
    let text = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    text.or_else(|_| {
        value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned())
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn made(params: CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_subject_and_the_dates_are_read() {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "libkv");
        assert_eq!(common_name(&made(params.clone())), None);
        params.distinguished_name.push(DnType::CommonName, "ada");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let certificate = made(params);
        assert_eq!(common_name(&certificate).as_deref(), Some("ada"));
        let expected = Validity { from_s: 1_577_836_800, to_s: 1_893_456_000 };
        assert_eq!(validity(&certificate), Some(expected));
        assert_eq!(validity(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
