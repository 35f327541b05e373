//! SQL's third truth value.

/// False, unknown or true, numbered so that `AND` is the minimum and `OR` the maximum (Kleene's logic): both are one
/// vector instruction over a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth(u8);

impl Truth {
    pub(crate) const FALSE: Self = Self(0);
    pub(crate) const UNKNOWN: Self = Self(1);
    pub(crate) const TRUE: Self = Self(2);

    pub(crate) fn from_option(value: Option<bool>) -> Self {
        value.map_or(Self::UNKNOWN, Self::from)
    }

    pub(crate) fn known(self) -> Option<bool> {
        (self != Self::UNKNOWN).then_some(self == Self::TRUE)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The truth of a comparison, unknown where one side is null.
    pub(crate) fn of(value: bool, is_known: bool) -> Self {
        if is_known { Self::from(value) } else { Self::UNKNOWN }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        Self(2 - self.0)
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        Self(u8::from(value) * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::Truth;

    #[test]
    fn the_tables_are_those_of_three_valued_logic() {
        let (f, u, t) = (Truth::FALSE, Truth::UNKNOWN, Truth::TRUE);
        let and = [(f, f, f), (f, u, f), (f, t, f), (u, u, u), (u, t, u), (t, t, t)];
        let or = [(f, f, f), (f, u, u), (f, t, t), (u, u, u), (u, t, t), (t, t, t)];
        for (a, b, wanted) in and {
            assert_eq!((a.and(b), b.and(a)), (wanted, wanted));
        }
        for (a, b, wanted) in or {
            assert_eq!((a.or(b), b.or(a)), (wanted, wanted));
        }
        assert_eq!([!f, !u, !t], [t, u, f]);
    }
}
