import Foundation

/// A system that is measured: an entry of systems.json.
struct System: Codable, Equatable, Sendable {
  let name: String
  let title: String
  /// A file in the folder of the programs.
  let program: String
  /// The ways of waiting that it has.
  let modes: [Mode]
  let server: Bool
  /// What no other bus is compared with.
  var floor: Bool?
  /// There can be one of its servers only on a machine.
  var isAlone: Bool?
  /// Nothing is received: a source alone does the work, and says itself when it has ended.
  var isSourceOnly: Bool?
  let packages: [String]
  /// The largest payload that it takes.
  var maxSize: Int?
  /// The only work that it does, if not all.
  var work: [Work]?
  var note: String?

  enum Mode: String, Codable, Sendable, CaseIterable { case block, spin, adaptive }

  static let poolBus = "poolbus"
  static let batching = "poolbus-batch"
  static let floor = "floor"

  var isOurs: Bool { Self.isOurs(name) }
  /// Whether it is PoolBus, in whatever way.
  static func isOurs(_ name: String) -> Bool { name == poolBus || name.hasPrefix("\(poolBus)-") }
  var isFloor: Bool { floor == true }

  /// Those of systems.json that were asked for.
  static func listed(in folder: String, only names: [String]) throws -> [System] {
    let listed = try JSONDecoder().decode(
      [System].self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/systems.json")))
    for name in names where !listed.contains(where: { $0.name == name }) {
      throw Failure("there is no system '\(name)': \(listed.map(\.name).joined(separator: ", "))")
    }
    return listed.filter { names.isEmpty || names.contains($0.name) }
  }

  /// Whether its program is there; says so if it isn't.
  func isInstalled(in programs: String) -> Bool {
    let isThere = FileManager.default.isExecutableFile(atPath: "\(programs)/\(program)")
    if !isThere { report("skipped \(title): needs \(packages.joined(separator: ", "))") }
    return isThere
  }

  func does(_ work: Work, _ configuration: Configuration) -> Bool {
    // What grows is ours; the others are measured where all do the same.
    (work != .growth || name == Self.poolBus) && self.work?.contains(work) ?? true
      && configuration.size <= maxSize ?? .max && modes.contains(configuration.mode)
      && (configuration.isTouched || isSourceOnly != true)
  }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Tells a person on standard error what goes on, as far as that can be written.
func report(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data("\(text)\n".utf8)) }
