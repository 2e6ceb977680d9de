import Testing

/// The bus between real processes. One test at a time: each has the machine for itself, and looks afterwards that
/// nothing is left of it.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct EndToEnd {}
