/// A name for a file that a stranger may propose without getting out of a directory, or onto a file that is there.
public struct SafeFileName: Hashable, Sendable {
  private let stem: Substring
  private let suffix: Substring

  /// What the file system allows, in bytes, less room for a number.
  static let maximumByteCount = 255 - 8

  /// Takes the last component of what is proposed, if that is a name, or else the fallback, which must be one.
  ///
  /// A leading `.` or `-`, control characters and `/` become `_`; what is too long is cut before its suffix.
  public init(proposed: String?, fallback: String) {
    let component = proposed?.split(separator: "/").last ?? ""
    let isName = !component.allSatisfy { $0 == "." || $0.isWhitespace }
    var name = String(isName ? component : fallback[...])
    name = String(String.UnicodeScalarView(name.unicodeScalars.map { Self.isHarmless($0) ? $0 : "_" }))
    if let first = name.unicodeScalars.first, first == "." || first == "-" {
      name = "_" + String(name.unicodeScalars.dropFirst())
    }
    let dot = name.dropFirst().lastIndex(of: ".") ?? name.endIndex
    suffix = name[dot...].cut(toByteCount: 32)
    stem = name[..<dot].cut(toByteCount: Self.maximumByteCount - suffix.utf8.count)
  }

  /// The name as proposed for 1, or else with the number before its suffix: `photo.jpg`, `photo-2.jpg`.
  public func numbered(_ number: Int) -> String { number == 1 ? "\(stem)\(suffix)" : "\(stem)-\(number)\(suffix)" }

  private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: false
    default: scalar != "/"
    }
  }
}

extension Substring {
  fileprivate func cut(toByteCount limit: Int) -> Substring {
    var cut = self
    while cut.utf8.count > limit { cut = cut.dropLast() }
    return cut
  }
}
