//! A failed attempt that waits for Envoy's word, which often comes after the finding was said. Pure.

use crate::{
    envoy::{Heard, Seen, Word, attempt::Attempt, sentence::Sentences, weight},
    update::{Code, Confidence},
};

/// A failed attempt, and what was said of it so far.
#[derive(Clone, Debug)]
pub struct Question {
    attempt: Attempt,
    seen: Seen,
    code: Code,
    said: Sentences,
}

impl Question {
    /// What was said when the attempt was judged.
    pub fn new(attempt: Attempt, seen: Seen, code: Code, word: Word<'_>) -> Self {
        Self { attempt, seen, code, said: Sentences::of(word, seen) }
    }

    /// What was said of an earlier attempt of the same kind holds until something is said of this one.
    #[must_use]
    pub fn following(mut self, earlier: &Self) -> Self {
        let Sentences { log, cluster, contradictions } = &earlier.said;
        if self.said.log.is_none() && log.is_some() {
            self.said.log.clone_from(log);
            self.said.contradictions.clone_from(contradictions);
        }
        if self.said.cluster.is_none() {
            self.said.cluster.clone_from(cluster);
        }
        self
    }

    /// The configuration of its proxy is known.
    pub fn is_configured(&self, heard: &Heard) -> bool {
        heard.word_of(&self.attempt).cluster.is_some()
    }

    /// Asks again, and weighs the confidence anew. Whether something was said that is new in kind.
    pub fn ask(&mut self, heard: &Heard, confidence: &mut Confidence) -> bool {
        let word = heard.word_of(&self.attempt);
        let now = Sentences::of(word, self.seen);
        let is_news = (self.said.log.is_none() && now.log.is_some())
            || (self.said.cluster.is_none() && now.cluster.is_some())
            || self.said.contradictions.len() < now.contradictions.len();
        if word.log.is_some() || word.cluster.is_some() {
            *confidence = weight::weigh(self.code, *confidence, word, self.seen);
            let Sentences { log, cluster, .. } = std::mem::take(&mut self.said);
            self.said = Sentences { log: now.log.or(log), cluster: now.cluster.or(cluster), ..now };
        }
        is_news
    }

    /// What was said, a sentence each.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        self.said.all()
    }
}

#[cfg(test)]
mod tests {
    use super::Question;
    use crate::{
        envoy::{
            Heard, Seen, Word,
            attempt::{Attempt, Who},
        },
        event::{
            envoy::{ClusterTls, ClustersSeen, LogEntry, ProxyCluster, TlsContext},
            time::{SECOND_NS, Time},
        },
        update::{Behaviour, Code, Confidence},
    };

    fn attempt(at: u64) -> Attempt {
        Attempt {
            server: "10.1.1.24:6379".parse().unwrap(),
            client: "10.1.1.25:50714".parse().unwrap(),
            app: None,
            opened: Time(at * SECOND_NS),
            ended: Time((at + 1) * SECOND_NS),
            proxy: Who::default(),
            sni: None,
            cluster: Some("outbound|6379||redis".into()),
            service: None,
        }
    }

    fn entry(at: u64) -> LogEntry {
        LogEntry {
            began: Time(at * SECOND_NS),
            duration_ms: 1000 + at,
            flags: vec!["UF".into()],
            upstream_host: Some(attempt(at).server),
            ..LogEntry::default()
        }
    }

    fn asked(at: u64) -> Question {
        let seen = Seen { behaviour: Behaviour::Silent, had_hello: false };
        Question::new(attempt(at), seen, Code::MtlsToPlaintext, Word::default())
    }

    fn said(question: &Question) -> Vec<&str> {
        question.sentences().collect()
    }

    #[test]
    fn a_word_is_news_once_in_its_kind_and_holds_for_later_attempts() {
        let mut heard = Heard::default();
        let mut confidence = Confidence::Possible;
        let mut question = asked(10);
        assert!(!question.ask(&heard, &mut confidence));
        heard.logged(&entry(10));
        assert!(question.ask(&heard, &mut confidence), "the log came");
        assert!(!question.ask(&heard, &mut confidence), "it is told once");
        let cluster = ProxyCluster {
            name: "outbound|6379||redis".into(),
            discovery: "ORIGINAL_DST".into(),
            tls: ClusterTls::Always(TlsContext { alpn: vec!["istio".into()], ..TlsContext::default() }),
            ..ProxyCluster::default()
        };
        heard.configured(&ClustersSeen { clusters: vec![cluster], ..ClustersSeen::default() });
        assert!(question.ask(&heard, &mut confidence), "the configuration came");
        assert_eq!(confidence, Confidence::Likely);
        assert_eq!(said(&question)[0], "Envoy logged UF after 1010 ms");
        let mut second = asked(20).following(&question);
        assert_eq!(said(&second), said(&question), "nothing is said of it yet");
        heard.logged(&entry(20));
        assert!(!second.ask(&heard, &mut confidence), "more of the same is no news");
        assert_eq!(said(&second)[0], "Envoy logged UF after 1020 ms");
    }
}
