import ArgumentParser
import Foundation
import Logging
import PoolNode
import Testing
import Vocabulary

@testable import poolbusd

@Suite struct SettingsTests {
  private func settings(
    flags: [SettingsSource.Key: String] = [:], lists: [SettingsSource.Key: [String]] = [:],
    environment: [String: String] = [:],
    file: String? = nil
  ) throws -> Settings {
    var sources: [SettingsSource] = [.flags(flags, lists: lists), .environment(environment)]
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
        flags: [.socket: "/s", .contribution: "1MiB", .logLevel: "debug"], lists: [.quotas: ["a/**=1GiB", "b=7"]]),
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

  @Test func accessAndItsBoundsComeFromEverySource() throws {
    let rules = ["allow publish camera/** to user:1000", "deny inspect ** to everyone"]
    let quotas = ["user:1000 group:77 bytes=1MiB segments=3 clients=2 subscriptions=4 descriptors=5"]
    let made = [
      try settings(
        flags: [.socketMode: "0660", .socketGroup: "77"],
        lists: [.access: rules, .userQuotas: quotas, .clientLimits: ["subscriptions=9", "waiting-leases=8"]]),
      try settings(environment: [
        "POOLBUS_SOCKET_MODE": "660", "POOLBUS_SOCKET_GROUP": "77", "POOLBUS_ACCESS": rules.joined(separator: ","),
        "POOLBUS_USER_QUOTAS": quotas[0], "POOLBUS_CLIENT_LIMITS": "subscriptions=9,waiting-leases=8",
      ]),
      try settings(
        file: """
          {"socketMode": "0660", "socketGroup": 77, "access": ["\(rules[0])", "\(rules[1])"],
           "userQuotas": ["\(quotas[0])"], "clientLimits": ["subscriptions=9", "waiting-leases=8"]}
          """),
    ]
    for settings in made {
      #expect(settings.node.socketAccess == SocketAccess(mode: 0o660, group: 77))
      #expect(settings.node.access == AccessList(try rules.map { try AccessRule($0) }))
      let quota = UserQuota(bytes: 1 << 20, segments: 3, clients: 2, subscriptions: 4, descriptors: 5)
      #expect(settings.node.userQuotas == [UserQuotaRule(principals: [.user(1000), .group(77)], quota: quota)])
      #expect(settings.node.clientLimits == ClientLimits(subscriptions: 9, waitingLeases: 8))
    }
    // Without a list, whoever can connect may do all; with an empty one, nobody anything.
    #expect(try settings().node.access == nil)
    #expect(try settings(file: #"{"access": []}"#).node.access == AccessList([]))
  }

  @Test(arguments: [
    (SettingsSource.Key.access, "allow all", "--access is 'allow all'"),
    (.userQuotas, "bytes=1", "it must say whose"), (.userQuotas, "user:1", "and how much"),
    (.userQuotas, "user:1 bites=1", "'bites' is no quota"),
    (.userQuotas, "user:1 bytes=many", "says nothing of how much"),
    (.userQuotas, "root bytes=1", "is nobody"), (.clientLimits, "clients=1", "'clients' is no limit"),
    (.clientLimits, "publishers", "--client-limit is 'publishers'"),
  ])
  func rulesThatAreNoneAreRefused(key: SettingsSource.Key, text: String, part: String) throws {
    let error = try #require(failure { try settings(lists: [key: [text]]) })
    #expect(error.description.contains(part), "\(error)")
    #expect(error.exitCode == .validationFailure)
  }

  @Test(arguments: ["rw", "99", "0060", "1777", "-1"]) func modesThatAreNoneAreRefused(text: String) throws {
    let error = try #require(failure { try settings(environment: ["POOLBUS_SOCKET_MODE": text]) })
    #expect(error.description.contains("$POOLBUS_SOCKET_MODE is '\(text)': write permissions in octal"))
  }
}
