/// A name for a file that a stranger may propose without getting out of a directory, or onto a file that is there.
public struct SafeFileName: Hashable, Sendable {
  private let stem: String
  private let suffix: String

  /// What the file system allows, in bytes, less room for a number.
  static let maximumByteCount = 255 - 8
  /// What is longer is no suffix.
  private static let longestSuffix = 32

  /// Takes the last component of what is proposed, if that is a name, or else the fallback with its end.
  ///
  /// A leading `.` or `-`, control characters and `/` become `_`; what is too long is cut before its suffix, or before the
  /// fallback's end.
  ///
  /// - Parameters:
  ///   - fallback: a name.
  ///   - end: what tells it from others of the same name: short and harmless.
  public init(proposed: String?, fallback: String, end: String = "") {
    let component = proposed?.split(separator: "/").last ?? ""
    guard !component.allSatisfy({ $0 == "." || $0.isWhitespace }) else {
      stem = "\(Self.defused(fallback)[...].cut(toByteCount: Self.maximumByteCount - end.utf8.count))\(end)"
      suffix = ""
      return
    }
    let name = Self.defused(String(component))
    var dot = name.dropFirst().lastIndex(of: ".") ?? name.endIndex
    if name[dot...].utf8.count > Self.longestSuffix { dot = name.endIndex }
    suffix = String(name[dot...])
    stem = String(name[..<dot].cut(toByteCount: Self.maximumByteCount - suffix.utf8.count))
  }

  private static func defused(_ name: String) -> String {
    let name = String(String.UnicodeScalarView(name.unicodeScalars.map { isHarmless($0) ? $0 : "_" }))
    guard let first = name.unicodeScalars.first, first == "." || first == "-" else { return name }
    return "_" + String(name.unicodeScalars.dropFirst())
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
