//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::draw;
use super::model::{Cursor, Model, Panel, View};

/// Rows that a page is.
const PAGE: usize = 10;
/// Letters of the longest filter.
const FILTER: usize = 100;

/// What a key asks of whoever drives the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To go on.
    GoOn,
    /// To end.
    Quit,
    /// To stop until somebody continues it.
    Suspend,
    /// To draw everything again.
    Repaint,
}

impl Model {
    /// Takes a key in.
    pub fn key(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Wish::Quit,
                KeyCode::Char('z') => Wish::Suspend,
                KeyCode::Char('l') => Wish::Repaint,
                _ => Wish::GoOn,
            };
        }
        if self.is_typing {
            self.type_letter(key.code);
            return Wish::GoOn;
        }
        match (key.code, &self.view) {
            (KeyCode::Char('q'), View::Board) => return Wish::Quit,
            (
                KeyCode::Char('q') | KeyCode::Esc | KeyCode::Backspace | KeyCode::Left,
                View::Incident(_) | View::Source(_),
            ) => {
                self.show(View::Board);
            }
            (KeyCode::Char('q' | '?') | KeyCode::Esc | KeyCode::Enter, View::Help) => self.show(View::Board),
            (KeyCode::Esc, View::Board) => self.filter.clear(),
            (KeyCode::Char('?') | KeyCode::F(1), _) => self.show(View::Help),
            (KeyCode::Char('p'), _) => {
                self.paused = match self.paused.take() {
                    Some(_) => None,
                    None => Some(Box::new(self.newest.clone())),
                };
            }
            (KeyCode::Up | KeyCode::Char('k'), _) => self.step(false, 1),
            (KeyCode::Down | KeyCode::Char('j'), _) => self.step(true, 1),
            (KeyCode::PageUp, _) => self.step(false, PAGE),
            (KeyCode::PageDown | KeyCode::Char(' '), _) => self.step(true, PAGE),
            (KeyCode::Home | KeyCode::Char('g'), _) => self.step(false, usize::MAX),
            (KeyCode::End | KeyCode::Char('G'), _) => self.step(true, usize::MAX),
            (KeyCode::Tab, View::Board) => self.turn(1),
            (KeyCode::BackTab, View::Board) => self.turn(Panel::ALL.len() - 1),
            (KeyCode::Char('/'), View::Board) => self.is_typing = true,
            (KeyCode::Char('s'), View::Board) => {
                let sort = &mut self.sorts[self.panel as usize];
                *sort = (*sort + 1) % self.panel.orders().len();
            }
            (KeyCode::Enter | KeyCode::Right, View::Board) => self.open(),
            _ => {}
        }
        Wish::GoOn
    }

    fn show(&mut self, view: View) {
        self.view = view;
        self.scroll = 0;
    }

    fn turn(&mut self, by: usize) {
        self.panel = Panel::ALL[(self.panel as usize + by) % Panel::ALL.len()];
    }

    fn type_letter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                // Taking away what is not there leaves, as in a pager.
                self.is_typing = self.filter.pop().is_some();
            }
            KeyCode::Char(letter) if !letter.is_control() && self.filter.len() < FILTER => {
                self.filter.push(letter);
            }
            _ => {}
        }
    }

    /// Goes up or down: in the list, or in the text.
    fn step(&mut self, is_down: bool, by: usize) {
        let moved = |at: usize, last: usize| {
            if is_down { at.saturating_add(by).min(last) } else { at.saturating_sub(by) }
        };
        if let View::Board = self.view {
            let keys = self.keys(self.panel);
            let Some(chosen) = self.chosen(self.panel, &keys) else { return };
            let index = moved(chosen, keys.len() - 1);
            let key = keys.get(index).cloned();
            self.cursors[self.panel as usize] = Cursor { key, index };
        } else {
            let last = draw::last_line(self);
            self.scroll = moved(self.scroll.min(last), last);
        }
    }

    /// Opens what is chosen.
    fn open(&mut self) {
        let keys = self.keys(self.panel);
        let Some(index) = self.chosen(self.panel, &keys) else { return };
        // Coming back leads to the same row.
        self.cursors[self.panel as usize] = Cursor { key: keys.get(index).cloned(), index };
        let view = match self.panel {
            Panel::Incidents => {
                self.incidents().get(index).map(|one| View::Incident(Box::new((*one).clone())))
            }
            Panel::Sources => self.sources().get(index).map(|one| View::Source(Box::new((*one).clone()))),
            // All that is known of a port is in its row.
            Panel::Ports => None,
        };
        if let Some(view) = view {
            self.show(view);
        }
    }
}
