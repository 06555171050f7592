//! Sets of ports.

/// A set of ports, as ranges in ascending order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// Words of a [`bitmap`](Self::bitmap).
    pub const BITMAP_WORDS: usize = (u16::MAX as usize + 1) / 64;

    /// No port.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// All ports.
    #[must_use]
    pub fn any() -> Self {
        Self(vec![(0, u16::MAX)])
    }

    /// The ports of ranges, each from its first to its last port.
    #[must_use]
    pub fn of(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut ports: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match ports.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => ports.push((first, last)),
            }
        }
        Self(ports)
    }

    /// Whether all ports are in it.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == [(0, u16::MAX)]
    }

    /// Whether no port is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a port is in it.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// The ports of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::of([&*self.0, &*other.0].concat())
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// One bit for each port: that of port `p` is bit `p % 64` of word `p / 64`.
    #[must_use]
    pub fn bitmap(&self) -> Vec<u64> {
        let mut words = vec![0; Self::BITMAP_WORDS];
        for port in self.0.iter().flat_map(|(first, last)| *first..=*last) {
            if let Some(word) = words.get_mut(usize::from(port / 64)) {
                *word |= 1 << (port % 64);
            }
        }
        words
    }
}

impl core::fmt::Display for Ports {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.is_any() {
            return f.write_str("any");
        }
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged() {
        let ports = Ports::of(vec![(8000, 8100), (80, 80), (81, 81), (8050, 8200), (9, 8)]);
        assert_eq!(ports.to_string(), "80-81,8000-8200");
        assert!(ports.contains(80) && ports.contains(8200) && !ports.contains(82) && !ports.contains(0));
        assert_eq!(Ports::of(vec![(0, 9), (10, u16::MAX), (5, u16::MAX)]), Ports::any());
        assert_eq!(Ports::none().and(&Ports::of(vec![(1, 1)])).ranges(), [(1, 1)]);
        assert!(Ports::none().is_empty() && Ports::any().is_any());
    }

    #[test]
    fn bitmaps_hold_the_same_ports() {
        let ports = Ports::of(vec![(0, 0), (63, 64), (u16::MAX, u16::MAX)]);
        let bitmap = ports.bitmap();
        let is_set = |port: u16| bitmap[usize::from(port / 64)] & (1 << (port % 64)) != 0;
        assert!((0..=u16::MAX).all(|port| is_set(port) == ports.contains(port)));
    }
}
