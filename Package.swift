// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  // Waiting calls run where their caller runs: a loan or a message that is there costs no hop between threads.
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
  name: "PoolBus",
  products: [
    .library(name: "PoolBus", targets: ["PoolBus"]),
    .executable(name: "busctl", targets: ["busctl"]),
    .executable(name: "poolbusd", targets: ["poolbusd"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/ordo-one/TextTable", from: "0.0.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // What applications import.
    .target(
      name: "PoolBus",
      dependencies: [
        "BusProtocol", "HandleTransport", "Platform", "PoolNode", "PooledMemory", "Vocabulary",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: swiftSettings),

    // The node, and what it decides by.
    .target(
      name: "PoolNode",
      dependencies: [
        "BusProtocol", "Ledger", "Platform", "PooledMemory", "Vocabulary",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: swiftSettings),
    .target(name: "Ledger", dependencies: ["Vocabulary"], swiftSettings: swiftSettings),

    // What both sides stand on.
    .target(name: "PooledMemory", dependencies: ["Platform", "Vocabulary"], swiftSettings: swiftSettings),
    .target(name: "BusProtocol", dependencies: ["CSchemas", "Vocabulary"], swiftSettings: swiftSettings),
    .target(name: "HandleTransport", dependencies: ["CZeroMQ", "Platform"], swiftSettings: swiftSettings),
    .target(
      name: "Platform",
      dependencies: ["CPlatform", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: swiftSettings),
    .target(name: "Vocabulary", swiftSettings: swiftSettings),

    // C that Swift cannot say: generated schemas, ZeroMQ's header, the kernel's macros.
    .target(
      name: "CSchemas", path: "Sources/CInterop/CSchemas", linkerSettings: [.linkedLibrary("protobuf-c")]),
    .target(name: "CPlatform", path: "Sources/CInterop/CPlatform"),
    .systemLibrary(
      name: "CZeroMQ", path: "Sources/CInterop/CZeroMQ", providers: [.apt(["libzmq3-dev"])]),

    .executableTarget(
      name: "busctl",
      dependencies: [
        "PoolBus", "ToolSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "TextTable", package: "TextTable"),
      ],
      path: "Tools/busctl", swiftSettings: swiftSettings),
    .executableTarget(
      name: "poolbusd",
      dependencies: [
        "Platform", "PoolNode", "ToolSupport", "Vocabulary",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Configuration", package: "swift-configuration"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      path: "Tools/poolbusd", exclude: ["systemd"], swiftSettings: swiftSettings),
    .executableTarget(
      name: "handover",
      dependencies: [
        "PoolBus", "ToolSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "SystemPackage", package: "swift-system"),
        .product(name: "TextTable", package: "TextTable"),
      ],
      path: "Tools/handover", swiftSettings: swiftSettings),
    .target(name: "ToolSupport", path: "Tools/ToolSupport", swiftSettings: swiftSettings),

    .target(name: "TestSupport", dependencies: ["Platform"], path: "Tests/Support", swiftSettings: swiftSettings),
    .testTarget(name: "VocabularyTests", dependencies: ["Vocabulary"], swiftSettings: swiftSettings),
    .testTarget(
      name: "PlatformTests", dependencies: ["CPeer", "Platform", "TestSupport"], swiftSettings: swiftSettings),
    .testTarget(name: "PooledMemoryTests", dependencies: ["PooledMemory"], swiftSettings: swiftSettings),
    .testTarget(name: "LedgerTests", dependencies: ["Ledger", "TestSupport"], swiftSettings: swiftSettings),
    .testTarget(
      name: "BusProtocolTests", dependencies: ["BusProtocol", "TestSupport"], swiftSettings: swiftSettings),
    .testTarget(
      name: "HandleTransportTests", dependencies: ["CZeroMQ", "HandleTransport", "Platform"],
      swiftSettings: swiftSettings),
    .testTarget(name: "PoolNodeTests", dependencies: ["PoolNode", "TestSupport"], swiftSettings: swiftSettings),
    .testTarget(
      name: "PoolBusTests", dependencies: ["PoolBus", "PoolNode", "TestSupport"], swiftSettings: swiftSettings),
    .testTarget(name: "ToolsTests", dependencies: ["ToolSupport", "busctl", "poolbusd"], swiftSettings: swiftSettings),
    .testTarget(name: "DocumentationTests", dependencies: ["PoolBus"], swiftSettings: swiftSettings),

    // A client that keeps to no rule, beside some that do.
    .testTarget(
      name: "HostileTests",
      dependencies: [
        "CPeer", "HandleTransport", "Platform", "PoolBus", "PoolNode", "PooledMemory", "TestProcesses", "TestSupport",
        "Vocabulary", "busctl", "poolbus-peer",
      ],
      exclude: ["CASES.md"], swiftSettings: swiftSettings),

    // Real processes at either end.
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "CPeer", "Platform", "PoolBus", "PoolNode", "PooledMemory", "TestProcesses", "TestSupport", "busctl",
        "poolbus-peer", "poolbusd",
      ],
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "poolbus-peer",
      dependencies: [
        "BusProtocol", "CPeer", "Platform", "PoolBus", "PoolNode",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/Peer", swiftSettings: swiftSettings),
    .target(
      name: "TestProcesses", dependencies: ["CPeer", "Platform"], path: "Tests/Processes", swiftSettings: swiftSettings),
    .target(name: "CPeer", path: "Tests/CPeer"),

    // Faults, caused for real, and the checker that judges what comes of them.
    .executableTarget(
      name: "poolbus-faults",
      dependencies: [
        "CPeer", "Platform", "PoolBus", "TestProcesses", "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "TextTable", package: "TextTable"),
      ],
      path: "Tests/Faults", swiftSettings: swiftSettings),
    .testTarget(name: "FaultsTests", dependencies: ["poolbus-faults", "TestSupport"], swiftSettings: swiftSettings),
  ]
)

// The fuzz targets want a compiler that counts where an input goes, and libFuzzer at the link: only Tools/fuzz has them.
if Context.environment["POOLBUS_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "poolbus-fuzz",
      dependencies: ["BusProtocol", "Ledger", "Platform", "PoolBus", "PoolNode", "PooledMemory", "Vocabulary"],
      path: "Tests/Fuzz", exclude: ["Corpus"], swiftSettings: swiftSettings))
}
