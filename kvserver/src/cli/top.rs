//! `kv top`: what a store does, live.
//!
//! Owns: the figures that are shown, out of the statistics of a store here or the `INFO` of a server, and the
//! screen. On a terminal it draws until `q`; elsewhere, and with `--json`, it prints a line for each look.
//! Rates are differences of counters over the time between two looks.

use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};
use ratatui::{DefaultTerminal, Frame};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;

use super::Operation;
use super::outcome::{Failure, Outcome, Result};
use super::output::Output;
use super::session::Session;

/// Looks that the curve has.
const CURVE: usize = 240;

/// `kv top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Time between two looks.
    #[arg(long, value_name = "DURATION", value_parser = super::args::duration_ms, default_value = "1s")]
    every: u64,
    /// End after so many looks; 0 is no limit.
    #[arg(long, default_value_t = 0)]
    count: u64,
}

/// What is shown. Counters count from the store's opening or the server's start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Figures {
    entries: u64,
    memory_bytes: u64,
    clients: Option<u64>,
    calls: u64,
    hits: u64,
    misses: u64,
    expired: u64,
    evicted: u64,
}

/// Figures at a moment, and what happened since the look before.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    now: Figures,
    calls_per_s: f64,
    expired_per_s: f64,
    evicted_per_s: f64,
    /// Hits in percent of reads since the look before; `None` if there were none.
    hit_rate: Option<f64>,
}

impl Operation for TopArgs {
    fn run(&self, session: &mut Session, output: &mut Output<'_>, _: bool) -> Result<Outcome> {
        let mut watch = Looker { session, before: None };
        if output.is_json() || !std::io::stdout().is_terminal() {
            self.print(&mut watch, output)?;
        } else {
            let terminal = ratatui::try_init()?;
            let shown = self.draw(terminal, &mut watch);
            ratatui::try_restore()?;
            shown?;
        }
        Ok(Outcome::Done)
    }
}

impl TopArgs {
    fn looks(&self) -> u64 {
        if self.count == 0 { u64::MAX } else { self.count }
    }

    fn print(&self, looker: &mut Looker<'_>, output: &mut Output<'_>) -> Result<()> {
        for number in 0..self.looks() {
            if number > 0 {
                std::thread::sleep(Duration::from_millis(self.every));
            }
            let look = looker.look()?;
            output.answer(look.line(), look.json())?;
            output.flush()?;
        }
        Ok(())
    }

    fn draw(&self, mut terminal: DefaultTerminal, looker: &mut Looker<'_>) -> Result<()> {
        let mut curve = Vec::new();
        for _ in 0..self.looks() {
            let look = looker.look()?;
            curve.push(look.calls_per_s as u64);
            let surplus = curve.len().saturating_sub(CURVE);
            curve.drain(..surplus);
            terminal.draw(|frame| paint(frame, &look, &curve))?;
            if wants_to_leave(Duration::from_millis(self.every))? {
                break;
            }
        }
        Ok(())
    }
}

/// Waits for the time of the next look; true if a key says to leave.
fn wants_to_leave(wait: Duration) -> Result<bool> {
    let end = Instant::now() + wait;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        if let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let interrupts =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupts || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
}

/// Looks at a store again and again.
struct Looker<'s> {
    session: &'s mut Session,
    before: Option<(Figures, Instant)>,
}

impl Looker<'_> {
    fn look(&mut self) -> Result<Look> {
        let stats = self.session.stats()?;
        let now = match self.session {
            Session::Store(_) => Figures::of_store(&stats),
            Session::Server(_) => Figures::of_server(&stats)
                .ok_or_else(|| Failure::failed("the server's INFO has no statistics"))?,
        };
        let at = Instant::now();
        let (before, since) = self.before.replace((now, at)).unwrap_or((now, at));
        Ok(Look::between(&before, &now, at.duration_since(since).as_secs_f64()))
    }
}

impl Figures {
    fn of_store(stats: &Map<String, Value>) -> Figures {
        let number = |name: &str| stats.get(name).and_then(Value::as_u64).unwrap_or(0);
        Figures {
            entries: number("entries"),
            memory_bytes: number("memory_bytes"),
            clients: None,
            calls: number("gets") + number("sets") + number("deletes"),
            hits: number("hits"),
            misses: number("misses"),
            expired: number("expired"),
            evicted: number("evicted"),
        }
    }

    /// `None` if there is no section of statistics.
    fn of_server(info: &Map<String, Value>) -> Option<Figures> {
        let stats = info.get("stats")?;
        let number = |section: &str, name: &str| {
            info.get(section).and_then(|section| section.get(name)).and_then(Value::as_u64)
        };
        let counted = |name: &str| stats.get(name).and_then(Value::as_u64).unwrap_or(0);
        // db0:keys=5,expires=1,avg_ttl=0
        let keyspace = info.get("keyspace").and_then(|section| section.get("db0"));
        let keys = keyspace.and_then(Value::as_str).and_then(|text| text.strip_prefix("keys="));
        let keys = keys.and_then(|text| text.split(',').next()?.parse().ok());
        Some(Figures {
            entries: keys.unwrap_or(0),
            memory_bytes: number("memory", "used_memory").unwrap_or(0),
            clients: number("clients", "connected_clients"),
            calls: counted("total_commands_processed"),
            hits: counted("keyspace_hits"),
            misses: counted("keyspace_misses"),
            expired: counted("expired_keys"),
            evicted: counted("evicted_keys"),
        })
    }
}

impl Look {
    fn between(before: &Figures, now: &Figures, seconds: f64) -> Look {
        // A server that was started again counts from zero.
        let more = |before: u64, now: u64| now.saturating_sub(before) as f64;
        let per_s = |more: f64| if seconds > 0.0 { more / seconds } else { 0.0 };
        let (hits, misses) = (more(before.hits, now.hits), more(before.misses, now.misses));
        Look {
            now: *now,
            calls_per_s: per_s(more(before.calls, now.calls)),
            expired_per_s: per_s(more(before.expired, now.expired)),
            evicted_per_s: per_s(more(before.evicted, now.evicted)),
            hit_rate: (hits + misses > 0.0).then(|| hits * 100.0 / (hits + misses)),
        }
    }

    /// Names and values, in the order in which they are shown.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let rate = self.hit_rate.map_or("-".into(), |rate| format!("{rate:.1} %"));
        let mut rows = vec![
            ("entries", self.now.entries.to_string()),
            ("memory", indicatif::HumanBytes(self.now.memory_bytes).to_string()),
            ("calls/s", format!("{:.0}", self.calls_per_s)),
            ("hit ratio", rate),
            ("expired/s", format!("{:.0}", self.expired_per_s)),
            ("evicted/s", format!("{:.0}", self.evicted_per_s)),
        ];
        if let Some(clients) = self.now.clients {
            rows.push(("clients", clients.to_string()));
        }
        rows
    }

    fn line(&self) -> String {
        let rows = self.rows().into_iter().map(|(name, value)| format!("{name} {value}"));
        rows.collect::<Vec<_>>().join("  ")
    }

    fn json(&self) -> Value {
        json!({
            "entries": self.now.entries,
            "memory_bytes": self.now.memory_bytes,
            "clients": self.now.clients,
            "calls_per_second": self.calls_per_s,
            "hit_rate_percent": self.hit_rate,
            "expired_per_second": self.expired_per_s,
            "evicted_per_second": self.evicted_per_s,
        })
    }
}

fn paint(frame: &mut Frame<'_>, look: &Look, curve: &[u64]) {
    let rows = look.rows();
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let areas =
        Layout::vertical([Constraint::Length(height), Constraint::Min(3), Constraint::Length(1)])
            .split(frame.area());
    let rows = rows.into_iter().map(|(name, value)| Row::new([name.to_string(), value]));
    let table = Table::new(rows, [Constraint::Length(12), Constraint::Min(10)]);
    frame.render_widget(table.block(Block::bordered().title(" kv top ")), areas[0]);
    // The newest looks are at the right edge.
    let width = usize::from(areas[1].width.saturating_sub(2));
    let newest = &curve[curve.len().saturating_sub(width)..];
    let sparkline = Sparkline::default().data(newest).cyan();
    frame.render_widget(sparkline.block(Block::bordered().title(" calls/s ")), areas[1]);
    frame.render_widget(Paragraph::new(Line::from("q leaves").dim()), areas[2]);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn figures(text: Value) -> Figures {
        Figures::of_server(text.as_object().unwrap()).unwrap()
    }

    #[test]
    fn rates_are_differences_over_time() {
        let info = |calls: u64, hits: u64| {
            json!({
                "stats": {"total_commands_processed": calls, "keyspace_hits": hits, "keyspace_misses": 10},
                "keyspace": {"db0": "keys=5,expires=1,avg_ttl=0"},
                "memory": {"used_memory": 2048},
                "clients": {"connected_clients": 3},
            })
        };
        let (before, now) = (figures(info(100, 0)), figures(info(300, 30)));
        let look = Look::between(&before, &now, 2.0);
        assert_eq!((look.calls_per_s, look.hit_rate, look.now.entries), (100.0, Some(100.0), 5));
        assert_eq!(look.now.clients, Some(3));
        // After a restart of the server, and at the first look, nothing is negative or infinite.
        assert_eq!(Look::between(&now, &before, 1.0).calls_per_s, 0.0);
        assert_eq!(Look::between(&now, &now, 0.0).hit_rate, None);
        assert_eq!(Figures::of_server(&Map::new()), None);
    }

    #[test]
    fn the_screen_has_every_figure() {
        let figures = Figures { entries: 123_456, clients: Some(7), ..Figures::default() };
        let look = Look::between(&figures, &figures, 1.0);
        let mut terminal = Terminal::new(TestBackend::new(40, 16)).unwrap();
        terminal.draw(|frame| paint(frame, &look, &[1, 5, 3])).unwrap();
        let text: String =
            terminal.backend().buffer().content().iter().map(|cell| cell.symbol()).collect();
        for (name, value) in look.rows() {
            assert!(text.contains(name) && text.contains(&value), "{name} {value}");
        }
    }
}
