import Foundation
import Synchronization
import Testing
import TransferQ
import TransferQRewards

/// The table of servers at ``HTTPReward``: each asked in its own way, against stand-ins that are as strict.
@Suite struct ServerTableTests {
    /// One for all tests.
    private static let server = Result { try ScriptServer("servers.py") }

    private final class Warnings: Sendable {
        private let kept = Mutex<[String]>([])
        var all: [String] { kept.withLock { $0 } }
        func add(_ sentence: String) { kept.withLock { $0.append(sentence) } }
    }

    private func reward(
        _ path: String, credentials: String = "", warnings: Warnings = Warnings()
    ) throws -> HTTPReward {
        let port = try Self.server.get().port
        return try HTTPReward(
            address: "http://\(credentials)127.0.0.1:\(port)\(path)", timeout: 10, pauses: [0.01, 0.02],
            warn: warnings.add)
    }

    /// The scripted servers' number of a text.
    private static func logit(_ text: String) -> Double {
        Double(text.utf8.reduce(0) { $0 + Int($1) } % 97) / 10 - 4
    }

    private static func sigmoid(_ number: Double) -> Double { 1 / (1 + exp(-number)) }

    private static let single = [Message(role: "user", content: "How are you?")]
    private static let several = [
        Message(role: "system", content: "Be kind."), Message(role: "user", content: "Hi."),
        Message(role: "assistant", content: "Hello!"), Message(role: "user", content: "And you?"),
    ]
    /// Of two conversations, so that servers that take one question at a time are asked twice.
    private static let completions = ["Fine.", "Bad, go away.", "So la la", "zzz"].flatMap { text in
        [single, several].map { Completion(conversation: $0, text: text) }
    }

    private static func question(_ completion: Completion) -> String {
        completion.conversation.count == 1
            ? "How are you?" : "Human: Be kind.\n\nHuman: Hi.\n\nAssistant: Hello!\n\nHuman: And you?"
    }

    private static func text(_ completion: Completion) -> String {
        (completion.conversation.count == 1 ? "\n\nHuman: How are you?" : "\n\n\(question(completion))")
            + "\n\nAssistant: \(completion.text)"
    }

    /// As the stand-in's chat template lays it out.
    private static func rendered(_ completion: Completion) -> String {
        (completion.conversation + [Message(role: "assistant", content: completion.text)]).map {
            "<\($0.role)>\($0.content)</s>"
        }.joined()
    }

    private func expectNear(_ got: [Double], _ expected: [Double], _ path: String) {
        #expect(got.count == expected.count)
        for (one, other) in zip(got, expected) { #expect(abs(one - other) < 1e-9, "\(path)") }
    }

    // MARK: What each is sent

    @Test(arguments: [
        "/vllm/classify", "/vllm/pooling", "/walrus/classify", "/vllm/classify?model=rm",
        "/vllm/classify#input=messages",
    ])
    func serversThatTakeMessagesApplyTheirTemplate(path: String) async throws {
        let warnings = Warnings()
        let reward = try reward(path, warnings: warnings)
        for _ in 0..<2 {
            expectNear(
                try await reward.checkedRewards(for: Self.completions),
                Self.completions.map { Self.logit(Self.rendered($0)) }, path)
        }
        #expect(warnings.all.isEmpty)
    }

    @Test(arguments: ["/vllm/classify#input=text", "/old/classify", "/older/classify", "/tei/predict"])
    func othersGetDialoguesAndGiveRawLogits(path: String) async throws {
        let warnings = Warnings()
        let reward = try reward(path, warnings: warnings)
        for _ in 0..<2 {
            expectNear(
                try await reward.checkedRewards(for: Self.completions),
                Self.completions.map { Self.logit(Self.text($0)) }, path)
        }
        // It is said, and once.
        #expect(warnings.all.count == (path.hasSuffix("/classify") ? 1 : 0), "\(warnings.all)")
    }

    @Test(arguments: [
        "/vllm/score", "/vllm/rerank", "/old/score", "/older/rerank", "/walrus/score", "/tei/rerank",
        "/vllm/score?model=rm",
    ])
    func pairsOfQuestionAndAnswer(path: String) async throws {
        let reward = try reward(path)
        expectNear(
            try await reward.checkedRewards(for: Self.completions),
            Self.completions.map { Self.logit(Self.question($0) + "|" + $0.text) }, path)
    }

    @Test(arguments: ["/own/reward", "/own/v2/anything", "/own/score#form=rewards"])
    func ourOwnServersGetCompletions(path: String) async throws {
        let reward = try reward(path)
        expectNear(
            try await reward.checkedRewards(for: Self.completions), Self.completions.map { Self.logit($0.text) }, path)
    }

    @Test func moreTextsThanAServerTakesGoInParts() async throws {
        let many = (0..<150).map { Completion(conversation: Self.single, text: "answer \($0)") }
        for path in ["/tei/predict", "/tei/rerank", "/vllm/classify"] {
            #expect(try await reward(path).checkedRewards(for: many).count == 150)
        }
    }

    @Test func aTextThatIsTooLongIsNoReasonToSendTextsInPlaceOfMessages() async throws {
        let long = [Completion(conversation: Self.single, text: String(repeating: "long ", count: 500))]
        let error = await #expect(throws: RewardError.self) {
            try await reward("/vllm/classify").checkedRewards(for: long)
        }
        #expect(error?.description.contains("maximum context length") == true, "\(error?.description ?? "")")
    }

    // MARK: Rewards that are none

    @Test(arguments: ["/oldest/classify", "/oldest/pooling", "/oldest/score", "/oldest/rerank"])
    func aSoftmaxOfOneLabelIsRefused(path: String) async throws {
        let error = await #expect(throws: RewardError.self) {
            try await reward(path).checkedRewards(for: Self.completions)
        }
        #expect(error?.description.contains("its only label goes through a softmax") == true)
        #expect(error?.description.contains("--pooler-config") == true)
    }

    /// A logit of 16 bits may well be 1.
    @Test func aLogitOfOneIsAReward() async throws {
        let text = try #require(
            (0..<97).map { String(repeating: "b", count: $0) }.first { Self.logit(Self.text(.init($0))) == 1 })
        let reward = try reward("/vllm/classify#input=text")
        #expect(try await reward.checkedRewards(for: [.init(text)]) == [1])
    }

    @Test func aConstantRewardIsReportedOnce() async throws {
        let warnings = Warnings()
        let reward = try reward("/odd/constant#form=rewards", warnings: warnings)
        // Equal texts prove nothing.
        for _ in 0..<20 { _ = try await reward.checkedRewards(for: [Completion(conversation: [], text: "same")]) }
        #expect(warnings.all.isEmpty)
        for number in 0..<30 {
            _ = try await reward.checkedRewards(for: [Completion(conversation: [], text: "text \(number)")])
        }
        #expect(warnings.all.count == 1)
        #expect(warnings.all.first?.contains("gave 0.25 for each of the first 10 different texts") == true)
    }

    // MARK: Replies

    @Test(arguments: [
        ("twice", "numbered its answers 0, 0, 0"), ("from1", "must be 0 to 2"),
        ("some", "numbered its answers 0, none"),
        ("error200", "answered with an error: model not found"), ("detail", "answered with an error: Not Found"),
        ("bool", "form that is not known"), ("strings", "form that is not known"),
        ("number", "form that is not known"), ("tokens", "a list for each of 3 tokens"),
        ("labels", "2 numbers for each text (good, bad)"), ("labels#class=ugly", "no class ugly"),
    ])
    func repliesThatAreWrongAreNamed(path: String, complaint: String) async throws {
        let completions = Array(Self.completions.prefix(3))
        let error = await #expect(throws: RewardError.self) {
            try await reward("/odd/\(path)").checkedRewards(for: completions)
        }
        #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
    }

    @Test func labelsArePicked() async throws {
        let one = [Completion(conversation: [], text: "a")]
        #expect(try await reward("/odd/labels#class=bad").checkedRewards(for: one) == [0.1])
        #expect(try await reward("/odd/labels#form=rewards&class=good").checkedRewards(for: one) == [0.9])
    }

    @Test func numbersThatAreNoneAreRefused() async throws {
        await #expect(throws: TransferQError.self) {
            try await reward("/odd/infinite").checkedRewards(for: Self.completions)
        }
    }

    @Test func repliesHaveALimit() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let error = await #expect(throws: RewardError.self) {
            try await reward("/endless").checkedRewards(for: Self.completions)
        }
        #expect(error?.description.contains("answered more than 16 MB") == true, "\(error?.description ?? "")")
        #expect(clock.now - start < .seconds(8))
    }

    @Test func aBusyServerIsAskedAgain() async throws {
        #expect(try await reward("/busy").checkedRewards(for: Self.completions).count == Self.completions.count)
    }

    // MARK: Redirects

    @Test(arguments: ["/307/own/reward", "/308/own/reward", "/307/308/307/own/reward", "/away/own/reward"])
    func redirectsTakeTheBodyAlong(path: String) async throws {
        let reward = try reward(path)
        #expect(
            try await reward.checkedRewards(for: Self.completions) == Self.completions.map { Self.logit($0.text) })
    }

    @Test(arguments: [
        ("/301/own/reward", "status 301, a redirect to http://127.0.0.1:PORT/own/reward that drops what is sent"),
        ("/302/own/reward", "write that address instead"), ("/303/own/reward", "write that address instead"),
        ("/loop", "redirects more than 5 times"), ("/nowhere", "a redirect to no address"),
    ])
    func redirectsThatLoseTheBodyAreRefused(path: String, complaint: String) async throws {
        let error = await #expect(throws: RewardError.self) {
            try await reward(path).checkedRewards(for: Self.completions)
        }
        let complaint = complaint.replacing("PORT", with: "\(try Self.server.get().port)")
        #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
    }

    @Test func credentialsStayWithTheirHost() async throws {
        let one = [Completion(conversation: [], text: "a")]
        let named = "name:secret@"
        #expect(try await reward("/auth", credentials: named).checkedRewards(for: one) == [1])
        #expect(try await reward("/307/auth", credentials: named).checkedRewards(for: one) == [1])
        #expect(try await reward("/away/auth", credentials: named).checkedRewards(for: one) == [0])
        #expect(try !reward("/auth", credentials: named).name.contains("secret"))
    }

    @Test(arguments: ["#form=reward", "#input=tokens", "#class=", "#class=1&label=2"])
    func settingsBehindAddressesAreChecked(fragment: String) {
        #expect(throws: TransferQError.self) { try HTTPReward(address: "http://localhost/classify" + fragment) }
    }
}

extension Completion {
    fileprivate init(_ text: String) {
        self.init(conversation: [Message(role: "user", content: "How are you?")], text: text)
    }
}

/// A Python server of a test, ended with its owner, which prints the port that it has got.
final class ScriptServer: Sendable {
    private let process: ChildProcess
    let port: Int

    init(_ script: String) throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: script).path
        process = try ChildProcess("/usr/bin/env", ["python3", path], output: .pipe)
        let line = process.output?.availableData ?? Data()
        port = Int(String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    }
}
