import Foundation

/// A system that is measured: an entry of systems.json.
struct System: Codable, Sendable {
  let name: String
  let title: String
  let program: String
  /// The ways of waiting that it has.
  let modes: [Mode]
  let server: Bool
  /// There can be one of its servers only on a machine.
  var isAlone: Bool?
  let packages: [String]
  /// The largest payload that it takes.
  var maxSize: Int?
  /// The only work that it does, if not all.
  var work: [Work]?
  var note: String?

  /// The words that start it; set when it is found.
  var command: [String]?

  enum Mode: String, Codable, Sendable, CaseIterable { case block, spin, adaptive }

  static let poolBus = "poolbus"
  static let batching = "poolbus-batch"
  static let floor = "floor"
  /// What no other bus is compared with.
  static let floors = [floor, "floor-read-only", "handle"]

  /// The systems whose program is there; says of the others that they are skipped.
  static func installed(folder: String, programs: String, only names: [String]) throws -> [System] {
    let listed = try JSONDecoder().decode(
      [System].self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/systems.json")))
    for name in names where !listed.contains(where: { $0.name == name }) {
      throw Failure("there is no system '\(name)': \(listed.map(\.name).joined(separator: ", "))")
    }
    return listed.filter { names.isEmpty || names.contains($0.name) }.compactMap { system in
      var system = system
      let program = "\(programs)/\(system.program)"
      if system.program.hasSuffix(".py") {
        system.command = ["\(programs)/venv/bin/python3", "\(folder)/Peers/\(system.program)"]
      } else {
        system.command = [program]
      }
      guard FileManager.default.isExecutableFile(atPath: system.command?.first ?? "") else {
        report("skipped \(system.title): needs \(system.packages.joined(separator: ", "))")
        return nil
      }
      return system
    }
  }

  func does(_ work: Work) -> Bool { self.work?.contains(work) ?? true }
  func takes(_ size: Int, _ mode: Mode) -> Bool { size <= maxSize ?? .max && modes.contains(mode) }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Tells a person on standard error what goes on.
func report(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
