//! The nouns of ad targeting, with their units. Pure data and the rules that need no log.
