// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// What is there only with the trait.
let server = TargetDependencyCondition.when(traits: ["Server"])

let package = Package(
    name: "TransferQ",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "TransferQ", targets: ["TransferQ"]),
        .library(name: "TransferQRewards", targets: ["TransferQRewards"]),
        .library(name: "TransferQTheory", targets: ["TransferQTheory"]),
        .library(name: "TransferQLlama", targets: ["TransferQLlama"]),
        .library(name: "TransferQRuntime", targets: ["TransferQRuntime"]),
        .library(name: "TransferQEvaluation", targets: ["TransferQEvaluation"]),
        .library(name: "TransferQServer", targets: ["TransferQServer"]),
        .executable(name: "transferq", targets: ["TransferQCLI"]),
        .executable(name: "transferq-bench", targets: ["TransferQBench"]),
    ],
    traits: [
        .trait(name: "Server", description: "`transferq serve`, with Hummingbird and SwiftNIO."),
        .default(enabledTraits: ["Server"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // Configurations of `transferq evaluate`; the libraries read JSON and build without it.
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        // The server; without its trait nothing of these is checked out or built.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.4"),
    ],
    targets: [
        // The method: policies, rewards, values, tilting, the decoding loop. Depends on nothing.
        .target(name: "TransferQ", swiftSettings: settings),
        // The installed OpenSSL's digests, and SHA-256 on whichever platform.
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "TransferQDigest", dependencies: [.target(name: "CCrypto", condition: .when(platforms: [.linux]))],
            swiftSettings: settings),
        // Learned heads and their fitting, data sets of preferences, rewards from elsewhere.
        .target(
            name: "TransferQRewards", dependencies: ["TransferQ", "TransferQDigest"],
            swiftSettings: settings),
        // Problems small enough to solve exactly: the oracle of the tests.
        .target(name: "TransferQTheory", dependencies: ["TransferQ"], swiftSettings: settings),
        // The installed llama.h.
        .systemLibrary(name: "CLlama", pkgConfig: "llama", providers: [.brew(["llama.cpp"])]),
        // llama.cpp's Jinja engine, where scripts/bootstrap built it, and our C interface to it.
        .systemLibrary(name: "CJinja", pkgConfig: "transferq-jinja"),
        .target(name: "CChatTemplate", dependencies: ["CJinja"]),
        // Ends a build without llama.cpp within seconds.
        .target(
            name: "CBuildCheck",
            dependencies: ["CLlama", .target(name: "CCrypto", condition: .when(platforms: [.linux]))]),
        // GGUF models in this process.
        .target(
            name: "TransferQLlama",
            dependencies: [
                "TransferQ", "TransferQRewards", "CLlama", "CBuildCheck", "CChatTemplate", "TransferQDigest",
            ],
            swiftSettings: settings),
        // From what a person asks for to a running answer.
        .target(
            name: "TransferQRuntime", dependencies: ["TransferQ", "TransferQRewards", "TransferQLlama"],
            swiftSettings: settings),
        // Figures of answers, sets of prompts, runs that go on where they were cut.
        .target(
            name: "TransferQEvaluation",
            dependencies: ["TransferQ", "TransferQRewards", "TransferQLlama", "TransferQRuntime", "TransferQDigest"],
            // In the program itself, which is installed as one file.
            resources: [.embedInCode("Report/Page/report.css"), .embedInCode("Report/Page/report.js")],
            swiftSettings: settings),
        // The page of `transferq serve` and of `transferq trace view`, in the program itself.
        .target(
            name: "TransferQPlayground", dependencies: ["TransferQDigest"],
            resources: [
                "index.html", "style.css", "answer.css", "icon.svg", "dom.js", "trace.js", "whatif.js", "sse.js",
                "chart.js", "tokens.js", "inspector.js", "answer.js", "controls.js", "chat.js", "app.js",
            ].map { .embedInCode("Page/\($0)") },
            swiftSettings: settings),
        // Answers over HTTP: the OpenAI API, health, metrics.
        .target(
            name: "TransferQServer",
            dependencies: [
                "TransferQ", "TransferQRewards", "TransferQRuntime", "TransferQLlama", "TransferQEvaluation",
                "TransferQPlayground",
                .product(name: "Hummingbird", package: "hummingbird", condition: server),
                .product(name: "HummingbirdCore", package: "hummingbird", condition: server),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: server),
                .product(name: "Logging", package: "swift-log", condition: server),
                .product(name: "NIOCore", package: "swift-nio", condition: server),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: server),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras", condition: server),
                .product(name: "HTTPTypes", package: "swift-http-types", condition: server),
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms", condition: server),
            ],
            resources: [.embedInCode("OpenAPI/openapi.json")],
            swiftSettings: settings),
        // What programs of this package share: messages, signals, exit codes, options that name models.
        .target(
            name: "TransferQConsole",
            dependencies: [
                "TransferQ", "TransferQTheory", "TransferQRewards", "TransferQLlama", "TransferQRuntime",
                "TransferQEvaluation",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        // Model files of random weights: what tests and benchmarks write of them in common.
        .target(name: "TransferQRandomModels", dependencies: ["CLlama"], swiftSettings: settings),
        // The command line, `transferq`.
        .executableTarget(
            name: "TransferQCLI",
            dependencies: [
                "TransferQ", "TransferQTheory", "TransferQRewards", "TransferQLlama", "TransferQRuntime",
                "TransferQEvaluation", "TransferQPlayground", "TransferQConsole",
                .target(name: "TransferQServer", condition: server),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings),
        // Measurements of its developers, `transferq-bench`.
        .executableTarget(
            name: "TransferQBench",
            dependencies: [
                "TransferQ", "TransferQRewards", "TransferQLlama", "TransferQRuntime", "TransferQEvaluation",
                "TransferQConsole", "TransferQRandomModels", "CLlama",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "SteerExample", dependencies: ["TransferQ", "TransferQLlama"], path: "Examples/Steer",
            swiftSettings: settings),
        .testTarget(
            name: "TransferQTests", dependencies: ["TransferQ", "TransferQTheory"], swiftSettings: settings),
        .testTarget(
            name: "TransferQRewardsTests", dependencies: ["TransferQRewards", "TransferQDigest", "TransferQ"],
            exclude: ["server.py", "servers.py"],
            swiftSettings: settings),
        // Model files that tests write themselves, and the real one that set-up brought.
        .target(
            name: "TestSupport", dependencies: ["TransferQ", "TransferQLlama", "TransferQRandomModels", "CLlama"],
            path: "Tests/TestSupport",
            exclude: ["reference.py", "chat_templates.py", "implicit_rewards.json"], swiftSettings: settings),
        .testTarget(
            name: "TransferQLlamaTests",
            dependencies: ["TransferQLlama", "TransferQRewards", "TransferQ", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "TransferQRuntimeTests",
            dependencies: [
                "TransferQRuntime", "TransferQLlama", "TransferQRewards", "TransferQTheory", "TransferQ", "TestSupport",
            ], swiftSettings: settings),
        .testTarget(
            name: "TransferQEvaluationTests",
            dependencies: [
                "TransferQEvaluation", "TransferQRuntime", "TransferQLlama", "TransferQ", "TestSupport",
            ],
            exclude: ["judge_server.py", "reference_metrics.json", "reference_metrics.py", "report_page.py"],
            swiftSettings: settings),
        .testTarget(
            name: "TransferQPlaygroundTests", dependencies: ["TransferQPlayground", "TransferQCLI", "TestSupport"],
            exclude: [
                "arithmetic.py", "browser.py", "looks.js", "page.py", "playground_page.py", "replay_server.py",
                "traces",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "TransferQCLITests",
            dependencies: [
                "TransferQCLI", "TransferQEvaluation", "TransferQRuntime", "TransferQLlama", "TransferQRewards",
                "TransferQ",
                "TestSupport",
            ],
            exclude: ["server.py"], swiftSettings: settings),
        .testTarget(
            name: "TransferQServerTests",
            dependencies: [
                "TransferQServer", "TransferQCLI", "TransferQEvaluation", "TransferQRuntime", "TransferQLlama",
                "TransferQ",
                "TestSupport",
            ],
            exclude: ["attack.py", "clients.py"], swiftSettings: settings),
        .testTarget(
            name: "TransferQBenchTests", dependencies: ["TransferQBench", "TestSupport"], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
