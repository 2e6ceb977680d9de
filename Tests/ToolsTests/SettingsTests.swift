import ArgumentParser
import Foundation
import Logging
import PoolNode
import Testing
import Vocabulary

@testable import poolbusd

@Suite struct SettingsTests {
  private func settings(
    flags: [SettingsSource.Key: String] = [:], quotas: [String] = [], environment: [String: String] = [:],
    file: String? = nil
  ) throws -> Settings {
    var sources: [SettingsSource] = [.flags(flags, quotas: quotas), .environment(environment)]
    if let file {
      let path = NSTemporaryDirectory() + "/poolbusd-\(UUID().uuidString).json"
      defer { try? FileManager.default.removeItem(atPath: path) }
      try Data(file.utf8).write(to: URL(fileURLWithPath: path))
      sources.append(try .file(at: path))
    }
    return try Settings(from: sources)
  }

  private func failure(_ make: () throws -> Settings) -> InvalidSetting? {
    do {
      _ = try make()
      return nil
    } catch {
      return error as? InvalidSetting
    }
  }

  @Test func flagsWinOverTheEnvironmentAndThatOverTheFile() throws {
    let file = #"{"socket": "/file", "contribution": "3GiB", "logLevel": "error", "quotas": ["c/**=3MiB"]}"#
    let environment = ["POOLBUS_SOCKET": "/environment", "POOLBUS_CONTRIBUTION": "2GiB"]
    let all = try settings(flags: [.socket: "/flag"], environment: environment, file: file)
    #expect(all.node.socketPath == "/flag")
    #expect(all.node.contribution == 2 << 30)
    #expect(all.logLevel == .error)
    #expect(all.node.quotas == [TopicQuota(pattern: try TopicPattern("c/**"), bytes: 3 << 20)])
  }

  @Test func everySettingCanComeFromEverySource() throws {
    let quotas = [
      TopicQuota(pattern: try TopicPattern("a/**"), bytes: 1 << 30),
      TopicQuota(pattern: try TopicPattern("b"), bytes: 7),
    ]
    let made = [
      try settings(
        flags: [.socket: "/s", .contribution: "1MiB", .logLevel: "debug"], quotas: ["a/**=1GiB", "b=7"]),
      try settings(environment: [
        "POOLBUS_SOCKET": "/s", "POOLBUS_CONTRIBUTION": "1048576", "POOLBUS_QUOTAS": "a/**=1GiB,b=7",
        "POOLBUS_LOG_LEVEL": "debug",
      ]),
      try settings(
        file: #"{"socket": "/s", "contribution": 1048576, "quotas": ["a/**=1GiB", "b=7"], "logLevel": "debug"}"#),
    ]
    for settings in made {
      #expect(settings.node.socketPath == "/s")
      #expect(settings.node.contribution == 1 << 20)
      #expect(settings.node.quotas == quotas)
      #expect(settings.logLevel == .debug)
    }
  }

  @Test func nothingSetMeansTheDefaults() throws {
    let defaults = try settings(environment: ["POOLBUS_CONTRIBUTION": "", "POOLBUS_QUOTAS": ""], file: "{}")
    #expect(defaults.node.contribution == NodeConfiguration().contribution)
    #expect(defaults.node.quotas.isEmpty)
    #expect(defaults.logLevel == .info)
  }

  @Test func errorsNameTheFlagAndWhatIsAllowed() throws {
    let error = try #require(failure { try settings(flags: [.contribution: "12 parsecs"]) })
    #expect(error.description.contains("--contribution is '12 parsecs': write a number of bytes"))
    #expect(error.exitCode == .validationFailure)
  }

  @Test func errorsNameTheVariable() throws {
    let error = try #require(failure { try settings(environment: ["POOLBUS_LOG_LEVEL": "loud"]) })
    #expect(error.description.contains("$POOLBUS_LOG_LEVEL is 'loud': write one of trace, debug"))
    #expect(error.exitCode == ExitCode(78))
  }

  @Test(arguments: [
    (#"{"quotas": ["camera"]}"#, "'quotas' in"), (#"{"quotas": "camera=1GiB"}"#, "must be a list of texts"),
    (#"{"quotas": ["a//b=1GiB"]}"#, "a level is empty"), (#"{"contributon": "1GiB"}"#, "'contributon' in"),
    (#"{"socket": ["a"]}"#, "must be a text"), ("[1]", "--config"), ("{", "--config"), ("", "--config"),
    (#"{"contribution": -1}"#, "is '-1'"), (#"{"contribution": 1.5}"#, "must be a text or a number"),
  ])
  func errorsNameTheFileAndTheKey(file: String, part: String) throws {
    let error = try #require(failure { try settings(file: file) })
    #expect(error.description.contains(part), "\(error)")
    #expect(error.exitCode == ExitCode(78))
  }

  @Test func theNodesOwnLimitsAreBlamedOnTheSetting() throws {
    let small = try settings(environment: ["POOLBUS_CONTRIBUTION": "1KiB"])
    let error = small.blaming(.contributionTooSmall(1024, minimum: 65_536))
    #expect("\(error)".contains("$POOLBUS_CONTRIBUTION"))
    #expect((error as? InvalidSetting)?.exitCode == ExitCode(78))
    #expect(try settings().blaming(.contributionTooSmall(1, minimum: 2)) is NodeError)
  }
}
