import ArgumentParser
import Configuration
import Foundation

/// One of the places that settings come from.
struct SettingsSource {
  /// What can be set.
  enum Key: String, CaseIterable {
    case socket, socketMode, socketGroup, contribution, quotas, access, userQuotas, clientLimits, logLevel

    /// Its name's words, in lower case.
    var words: [String] {
      rawValue.reduce(into: [""]) { words, letter in
        if letter.isUppercase { words.append("") }
        words[words.count - 1] += letter.lowercased()
      }
    }
  }

  /// The process's exit code if a value that comes from here is wrong.
  let exitCode: ExitCode
  private let snapshot: any ConfigSnapshot
  private let prefix: [String]
  private let locate: @Sendable (Key) -> String

  /// What the user must look at to correct a value.
  func place(of key: Key) -> String { locate(key) }

  /// The setting as a text, if it is set here.
  func text(_ key: Key) throws(InvalidSetting) -> String? {
    let name = AbsoluteConfigKey(prefix + [key.rawValue])
    if let found = try? snapshot.value(forKey: name, type: .string) {
      guard case .string(let text) = found.value?.content else { return nil }
      return text
    }
    // A number in a JSON file is as good as its digits in a text.
    if case .int(let number) = try? snapshot.value(forKey: name, type: .int).value?.content { return "\(number)" }
    throw InvalidSetting("\(place(of: key)) must be a text or a number", exitCode: exitCode)
  }

  /// The setting as a list of texts, if it is set here.
  func list(_ key: Key) throws(InvalidSetting) -> [String]? {
    let value: ConfigValue?
    do {
      value = try snapshot.value(forKey: AbsoluteConfigKey(prefix + [key.rawValue]), type: .stringArray).value
    } catch {
      throw InvalidSetting("\(place(of: key)) must be a list of texts", exitCode: exitCode)
    }
    guard case .stringArray(let texts) = value?.content else { return nil }
    return texts
  }
}

extension SettingsSource {
  /// What the command line says.
  static func flags(_ texts: [Key: String], lists: [Key: [String]]) -> SettingsSource {
    var values: [AbsoluteConfigKey: ConfigValue] = [:]
    for (key, text) in texts { values[AbsoluteConfigKey([key.rawValue])] = ConfigValue(.string(text), isSecret: false) }
    for (key, list) in lists where !list.isEmpty {
      values[AbsoluteConfigKey([key.rawValue])] = ConfigValue(.stringArray(list), isSecret: false)
    }
    return SettingsSource(
      exitCode: .validationFailure, snapshot: InMemoryProvider(values: values).snapshot(), prefix: []
    ) { key in
      switch key {
      case .quotas: "--quota"
      case .userQuotas: "--user-quota"
      case .clientLimits: "--client-limit"
      default: "--\(key.words.joined(separator: "-"))"
      }
    }
  }

  /// What the environment's `POOLBUS_` variables say; empty ones say nothing.
  static func environment(_ variables: [String: String]) -> SettingsSource {
    let provider = EnvironmentVariablesProvider(environmentVariables: variables.filter { !$0.value.isEmpty })
    return SettingsSource(exitCode: .configuration, snapshot: provider.snapshot(), prefix: ["poolbus"]) { key in
      "$POOLBUS_\(key.words.joined(separator: "_").uppercased())"
    }
  }

  /// What a JSON file says. A key that means nothing here is an error: it is likely misspelled.
  static func file(at path: String) throws(InvalidSetting) -> SettingsSource {
    let snapshot: JSONSnapshot
    let names: Dictionary<String, Any>.Keys
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: path))
      snapshot = try JSONSnapshot(data: data.bytes, providerName: path, parsingOptions: .default)
      names = (try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]).keys
    } catch {
      throw InvalidSetting("--config \(path) can't be used: \(reason(for: error))", exitCode: .configuration)
    }
    if let unknown = names.sorted().first(where: { Key(rawValue: $0) == nil }) {
      let known = Key.allCases.map(\.rawValue).joined(separator: ", ")
      throw InvalidSetting("'\(unknown)' in \(path) is no setting: there are \(known)", exitCode: .configuration)
    }
    return SettingsSource(exitCode: .configuration, snapshot: snapshot, prefix: []) { "'\($0.rawValue)' in \(path)" }
  }

  /// Foundation says where a JSON text is wrong only in the error's details.
  private static func reason(for error: any Error) -> String {
    guard error is CocoaError else { return "\(error)" }
    return (error as NSError).userInfo["NSDebugDescription"] as? String ?? error.localizedDescription
  }
}

extension ExitCode {
  /// `EX_CONFIG`
  static let configuration = ExitCode(78)
}

/// A setting that can't be used.
struct InvalidSetting: Error, CustomStringConvertible {
  /// Which, where it comes from, and what is allowed.
  let description: String
  let exitCode: ExitCode

  init(_ description: String, exitCode: ExitCode) {
    self.description = description
    self.exitCode = exitCode
  }
}
