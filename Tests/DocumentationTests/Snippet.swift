import Foundation

/// A piece of Swift that uses PoolBus, and what the compiler says of it.
struct Snippet {
  var code: String

  /// The body of a function in which the documentation's names mean something.
  init(body: String) {
    let lines = body.split(separator: "\n", omittingEmptySubsequences: false)
    code = """
      import PoolBus

      struct Camera { func capture(into bytes: inout MutableRawSpan) {} }
      func detect(_ bytes: RawSpan) {}

      func example(bus: Bus, publisher: Publisher, subscriber: Subscriber, camera: Camera) async throws {
      \(lines.filter { !$0.hasPrefix("import ") }.joined(separator: "\n"))
      }
      """
  }

  /// - Returns: the compiler's errors; empty if it compiles.
  func errors() throws -> String {
    let folder = FileManager.default.temporaryDirectory.appending(path: "poolbus-snippet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "Snippet.swift")
    try code.write(to: file, atomically: true, encoding: .utf8)

    let compiler = Process()
    compiler.executableURL = URL(filePath: "/usr/bin/env")
    // Type checking alone does not see a second use of what was consumed: that is found a stage later.
    compiler.arguments =
      ["swiftc", "-emit-sil", "-o", "/dev/null", "-swift-version", "6", "-parse-as-library"]
      + ["-enable-experimental-feature", "Lifetimes", "-I", Self.build.appending(path: "Modules").path]
      + (try Self.moduleMaps()).flatMap { ["-Xcc", "-fmodule-map-file=\($0.path)"] } + [file.path]
    let output = Pipe()
    compiler.standardError = output
    compiler.standardOutput = FileHandle.nullDevice
    try compiler.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    compiler.waitUntilExit()
    return compiler.terminationStatus == 0 ? "" : text
  }

  /// The repository.
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Where this test was built, and PoolBus with it.
  private static let build = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

  /// How the compiler finds the C modules beneath PoolBus.
  private static func moduleMaps() throws -> [URL] {
    let written = ["CSchemas/include", "CZeroMQ"].map {
      root.appending(path: "Sources/CInterop/\($0)/module.modulemap")
    }
    let generated = try FileManager.default.contentsOfDirectory(at: build, includingPropertiesForKeys: nil)
      .map { $0.appending(path: "module.modulemap") }
    let checkedOut = build.deletingLastPathComponent().deletingLastPathComponent().appending(
      path: "checkouts/swift-system/Sources/CSystem/include/module.modulemap")
    return (written + generated + [checkedOut]).filter { FileManager.default.fileExists(atPath: $0.path) }
  }
}
