import Testing

/// What clients do that keep to no rule: only they are harmed. `CASES.md` says which case is tested where.
@Suite(.serialized, .timeLimit(.minutes(5))) struct Hostile {}
