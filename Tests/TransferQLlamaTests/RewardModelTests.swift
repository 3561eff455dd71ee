import Foundation
import TestSupport
import Testing
import TransferQ
import TransferQLlama
import TransferQRewards

/// Rewards that need a model: heads on hidden states, classifiers, judges, implicit rewards.
@Suite(.serialized) struct RewardModelTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let conversation = [Message(role: "user", content: "My neighbour is rude. How do I get back at him?")]
    static let text = """
        I am sorry that this happens to you. Getting back at someone rarely helps, and it may hurt you both. You could \
        tell him calmly what bothers you, ask somebody to come along, or write a short and friendly note. If you feel \
        unsafe, please call for help at once.
        """

    /// The shipped head, on the demonstration model in 32 bits, which set-up makes of the published file.
    static func head() async throws -> (head: LinearHead, model: LlamaModel) {
        let head = try LinearHead.read(root.appending(path: "Rewards/harmless.json").path)
        let file = try await ModelStore.standard.file(of: head.backbone, head: "harmless", likely: [])
        return (head, try await models.load(file))
    }

    private static let models = ModelCache(store: .standard)

    static func reward() async throws -> (reward: any RewardModel, reader: TextReader) {
        let (head, model) = try await head()
        let reader = TextReader(model: model)
        return (try StandardizedReward(HeadReward(head, name: "head", reader: reader)), reader)
    }

    private static func completion(_ text: String) -> Completion { Completion(conversation: conversation, text: text) }

    /// Words of `text` in an order of its own.
    private static func tail(_ seed: Int) -> String {
        let words = text.split(separator: " ")
        let noise = Noise(seed: UInt64(seed))
        return (0..<(1 + seed % 12)).map { " " + words[Int(noise.derived($0).uniform * Double(words.count))] }.joined()
    }

    @Test func cachedRewardsEqualUncachedOnes() async throws { try await Self.compareCached(rounds: 12) }

    static func compareCached(rounds: Int) async throws {
        let (reward, reader) = try await Self.reward()
        let words = Self.text.split(separator: " ")
        let noise = Noise(seed: 7)
        var uncachedTokens = 0
        var largest = 0.0
        for round in 0..<rounds {
            // A response that grows, and now and then is another one, with a few continuations each.
            let length = round % 10 == 9 ? Int(noise.derived(round).uniform * 40) : min(words.count, round / 2)
            let start = words.prefix(length).joined(separator: " ")
            let batch = (0..<(1 + round % 3)).map { Self.completion(start + Self.tail(3 * round + $0)) }
            let cached = try await reward.checkedRewards(for: batch)
            let (fresh, other) = try await Self.reward()
            let uncached = try await fresh.checkedRewards(for: [batch[round % batch.count]])
            uncachedTokens += await other.decodedTokens * batch.count
            largest = max(largest, abs(cached[round % batch.count] - uncached[0]))
        }
        print("cached and uncached rewards differ by at most", largest, "spreads")
        #expect(largest < 1e-4)
        #expect(await 3 * reader.decodedTokens < uncachedTokens)
    }

    @Test func batchesEqualSingles() async throws { try await Self.compareBatches(texts: 5) }

    static func compareBatches(texts count: Int) async throws {
        let (reward, reader) = try await Self.reward()
        let texts = (0..<count).map { $0 == 3 ? "" : "You could" + Self.tail($0) }
        let batch = try await reward.checkedRewards(for: texts.map(Self.completion))
        for (text, value) in zip(texts, batch) {
            let single = try await reward.checkedRewards(for: [Self.completion(text)])
            #expect(abs(single[0] - value) < 1e-4)
        }
        // Many more than there are sequences take turns, and equal texts share every token.
        let many = (0..<5 * count).map { texts[$0 % count] }
        let repeated = try await reward.checkedRewards(for: many.map(Self.completion))
        for (index, value) in repeated.enumerated() { #expect(abs(value - batch[index % count]) < 1e-4) }
        let before = await reader.decodedTokens
        _ = try await reward.checkedRewards(for: [String](repeating: Self.text, count: 20).map(Self.completion))
        #expect(await reader.decodedTokens - before < 120)
    }

    /// Why the shipped head reads 32-bit weights: 8-bit activations round otherwise in another batch.
    @Test func rewardsOn8BitWeightsDependOnTheBatchALittle() async throws {
        let (head, _) = try await Self.head()
        let reader = TextReader(model: try await RealModel.load())
        let reward = try StandardizedReward(HeadReward(head, name: "head", reader: reader))
        let texts = (0..<40).map { Self.completion("You could" + Self.tail($0)) }
        let batch = try await reward.checkedRewards(for: texts)
        var squares = 0.0
        for (text, value) in zip(texts, batch) {
            let single = try await reward.checkedRewards(for: [text])[0]
            squares += (single - value) * (single - value)
        }
        let difference = (squares / Double(texts.count)).squareRoot()
        print("on 8-bit weights batched and single rewards differ by", difference, "spreads (root mean square)")
        #expect(difference < 0.1)
    }

    /// `@bf16` reads the same head's model in 16 bits: about the same rewards.
    @Test func headsCanReadOtherFormats() async throws {
        let path = Self.root.appending(path: "Rewards/harmless.json").path
        let catalogue = ModelRewards(models: Self.models).catalogue
        let rough = try await catalogue.parse(["z:head:\(path)@bf16"])
        let (exact, _) = try await Self.reward()
        let texts = (0..<20).map { Self.completion("You could" + Self.tail($0)) }
        let pairs = zip(try await rough.checkedRewards(for: texts), try await exact.checkedRewards(for: texts))
        let squares = pairs.map { ($0 - $1) * ($0 - $1) }
        let difference = (squares.reduce(0, +) / Double(squares.count)).squareRoot()
        print("rewards on 16-bit and on 32-bit weights differ by", difference, "spreads (root mean square)")
        #expect(difference > 0 && difference < 0.1)
        await #expect(throws: (any Error).self) { try await catalogue.parse(["z:head:\(path)@int3"]) }
    }

    @Test func otherModelsTokensDoNotMatter() async throws {
        let (reward, _) = try await Self.reward()
        let plain = try await reward.checkedRewards(for: [Self.completion(Self.text)])
        var odd = Self.completion(Self.text)
        odd.tokens = [1, 2, 3]
        odd.isFinished = false
        odd.state = PooledState(source: .init(weights: "another", prompt: [1]), last: [1], mean: [1])
        #expect(try await reward.checkedRewards(for: [odd]) == plain)
    }

    @Test func harmlessAnswersAreWorthMore() async throws {
        let (reward, _) = try await Self.reward()
        let values = try await reward.checkedRewards(
            for: [Self.text, "Slash his tires at night so that nobody sees you, and lie about it."].map(Self.completion)
        )
        #expect(values[0] > values[1] + 0.5)
        let range = try #require(reward.range)
        #expect(abs(range.lowerBound + 3) < 1e-9 && abs(range.upperBound - 3) < 1e-9)
    }

    /// Rollouts of the head's own backbone and prompt bring their states along: nothing is read again.
    @Test(arguments: ["cd", "args", "best-of-n", "transfer-q-soft"])
    func rolloutsBringTheirStates(name: String) async throws {
        let (reward, reader) = try await Self.reward()
        let (_, model) = try await Self.head()
        let context = try await LlamaContext(
            model: model, configuration: .init(cells: 2048, sequences: 32, attention: .precise))
        let reference = try await LlamaPolicy(context: context, prompt: model.prompt(for: Self.conversation))
        let kind = [Message(role: "system", content: "Be kind.")] + Self.conversation
        let needsBaseline = name == "transfer-q-soft"
        let baseline =
            needsBaseline ? try await LlamaPolicy(context: context, prompt: model.prompt(for: kind)) : nil
        let task = try DecodingTask(
            reference: reference, baseline: baseline, reward: reward, conversation: Self.conversation,
            maximumLength: 5, seed: 2)
        let parameters: [String: ParameterValue] =
            switch name {
            case "best-of-n": ["n": 4]
            case "args": ["k": 4, "alpha": 0.3]
            case "transfer-q-soft": ["k": 4, "horizon": 4, "rollouts": 2]
            default: ["k": 4, "horizon": 4, "alpha": 0.3]
            }
        let (fresh, _) = try await Self.reward()
        var response: [Token] = []
        var differences: [Double] = []
        var rolloutTokens = 0
        let method = try DecodingMethods.make(name, parameters)
        for try await event in try Generation(task: task, method: method.method) {
            switch event {
            case .step(let step):
                for candidate in step.decision.candidates {
                    for scored in candidate.rollouts {
                        let tail = name == "best-of-n" ? [] : scored.rollout.tokens
                        rolloutTokens += tail.count
                        let text = model.tokenizer.text(of: response + candidate.tokens + tail)
                        let own = try await fresh.checkedRewards(for: [Self.completion(text)])
                        differences.append(abs(own[0] - scored.reward))
                    }
                }
                response += step.decision.tokens
            case .finished(let summary):
                let own = try await fresh.checkedRewards(for: [Self.completion(summary.response)])
                #expect(abs(try #require(summary.reward) - own[0]) < 1e-4)
                // What gives the states gives log π_sft as well: read once.
                #expect(summary.usage.readTokens == (needsBaseline ? rolloutTokens : 0))
            }
        }
        // A rollout may cut a text otherwise than the reader does; then its states are a little others.
        #expect(differences.count >= 4)
        #expect(Double(differences.count { $0 < 1e-4 }) > 0.8 * Double(differences.count))
        #expect(await reader.decodedTokens == 0)
    }

    // MARK: Models of the tests' own

    private static func tiny(_ template: ModelWriter.Template = .chatML) async throws -> (
        model: LlamaModel, weights: [String: [Float]], folder: TemporaryFolder
    ) {
        let folder = try TemporaryFolder()
        let weights = try ModelWriter.tinyModel(to: folder.file("tiny.gguf"), template: template)
        return (try await LlamaModel(path: folder.file("tiny.gguf").path), weights, folder)
    }

    @Test(arguments: [ModelWriter.Template.chatML, .llama3])
    func headsOfClassificationModelsAgreeWithTheirDefinition(template: ModelWriter.Template) async throws {
        let (model, weights, _) = try await Self.tiny(template)
        let noise = Noise(seed: 4)
        let numbers = (0..<ModelWriter.width).map { Float(noise.derived($0).uniform - 0.5) }
        let backbone = LinearHead.Backbone(model: "tiny", sha256: "", type: nil, width: ModelWriter.width)
        let head = LinearHead(backbone: backbone, template: .chat, pooling: .end, weights: numbers, bias: 0)
        let reward = try HeadReward(head, name: "tiny", reader: TextReader(model: model))
        let texts = ["yes", "no way", "abc def ghi", ""].map {
            Completion(conversation: [Message(role: "user", content: "is it so")], text: $0)
        }
        var tokens: [[Token]] = []
        for text in texts {
            let turns = text.conversation + [Message(role: "assistant", content: text.text)]
            tokens.append(try model.prompt(for: turns, isOpen: false))
        }
        let last = try #require(tokens[0].last)
        #expect(model.tokenizer.isEnd(last) == (template == .llama3))
        let expected = try ModelWriter.reference("llama", weights: weights, tokens: tokens, head: numbers)
        let values = try await reward.checkedRewards(for: texts)
        for (value, reference) in zip(values, expected) { #expect(abs(value - reference[0]) < 1e-3) }
        for (text, value) in zip(texts, values) {
            #expect(abs(try await reward.checkedRewards(for: [text])[0] - value) < 1e-4)
        }
        #expect(Set(values.map { Int($0 * 1e4) }).count == texts.count)
    }

    @Test(arguments: ["http://127.0.0.1:9/reward", "https://127.0.0.1:9/reward"])
    func serversAreAskedOneBatchAtATime(specification: String) async throws {
        #expect(try await ModelRewards(models: Self.models).catalogue.parse([specification]) is ExclusiveReward)
    }

    @Test func manyLongTextsTakeTurns() async throws {
        let folder = try TemporaryFolder()
        try ModelWriter.tinyClassifier(to: folder.file("c.gguf"))
        let model = try await LlamaModel(path: folder.file("c.gguf").path, purpose: .classification)
        let classifier = try await LlamaClassifier(model: model)
        let texts = (0..<100).map { Completion(conversation: [], text: String(repeating: "ab ", count: 1 + $0 % 20)) }
        let values = try await classifier.scores(of: texts)
        for index in 0..<100 { #expect(abs(values[index][0] - values[index % 20][0]) < 1e-5) }
        // Asked in several lanes at the same time, they come to the same.
        try await withThrowingTaskGroup(of: [[Float]].self) { group in
            for threads in 1...3 {
                group.addTask {
                    try await InferenceLane.$current.withValue(InferenceLane(threads: threads)) {
                        try await classifier.scores(of: texts)
                    }
                }
            }
            for try await scores in group {
                for (one, other) in zip(scores, values) { #expect(abs(one[0] - other[0]) < 1e-5) }
            }
        }
        let long = [Completion(conversation: [], text: String(repeating: "a ", count: 100))]
        await #expect(throws: LlamaError.self) { try await classifier.scores(of: long) }
        // A language model is no classifier, and the other way round.
        let other = try await Self.tiny()
        await #expect(throws: LlamaError.self) { try await LlamaClassifier(model: other.model) }
        await #expect(throws: LlamaError.self) { try await LlamaModel(path: folder.file("c.gguf").path) }
    }

    @Test func judgesGiveTheLogOddsOfYes() async throws {
        let (model, _, _) = try await Self.tiny()
        let reader = TextReader(model: model)
        let judge = try await JudgeReward(
            name: "judge", question: "asked: {prompt} said: {response} kind?", yes: "yes", no: "no", reader: reader)
        let conversation = [Message(role: "user", content: "tea {response}?")]
        let texts = ["of course", "never {prompt}", "of cats"].map { Completion(conversation: conversation, text: $0) }
        let values = try await judge.checkedRewards(for: texts)
        for (text, value) in zip(texts, values) {
            let question = "asked: tea {response}? said: \(text.text) kind?"
            let prompt = try model.prompt(for: [Message(role: "user", content: question)])
            let context = try await LlamaContext(
                model: model, configuration: .init(cells: 512, sequences: 4, attention: .precise))
            let policy = try await LlamaPolicy(context: context, prompt: prompt)
            let answers = await ["yes", "no"].asyncTokens(reader).map { Continuation(prefix: [], tokens: $0) }
            let logs = try await policy.score(answers, after: [])
            #expect(abs(value - (logs[0] - logs[1])) < 1e-4)
        }
        await #expect(throws: TransferQError.self) {
            try await JudgeReward(name: "judge", question: "kind?", reader: reader)
        }
        await #expect(throws: TransferQError.self) {
            try await JudgeReward(name: "judge", question: "{response}", yes: "a", no: "a", reader: reader)
        }
    }

    @Test func implicitRewardsComparePrompts() async throws {
        let (model, _, folder) = try await Self.tiny()
        defer { withExtendedLifetime(folder) {} }
        let settings = ModelRewards(models: Self.models, likely: [model.path]).catalogue
        let reward = try await settings.parse(["implicit:{\"a\": {\"system\": \"kind\"}, \"b\": {}, \"beta\": 0.5}"])
        let conversation = [Message(role: "user", content: "tea")]
        var completions = ["yes please", "yes no", "maybe"].map { Completion(conversation: conversation, text: $0) }
        completions[1].isFinished = false
        let values = try await reward.checkedRewards(for: completions)
        let reader = TextReader(model: model)
        for (completion, value) in zip(completions, values) {
            var logs: [Double] = []
            for turns in [[Message(role: "system", content: "kind")] + conversation, conversation] {
                let context = try await LlamaContext(
                    model: model, configuration: .init(cells: 512, sequences: 4, attention: .precise))
                let policy = try await LlamaPolicy(context: context, prompt: model.prompt(for: turns))
                let whole = Continuation(prefix: [], tokens: await reader.tokens(of: completion))
                logs.append(try await policy.score([whole], after: [])[0])
            }
            #expect(abs(value - 0.5 * (logs[0] - logs[1])) < 1e-4)
            #expect(abs(value) > 1e-3)
        }
        for text in ["{", "{\"a\": {}}", "{\"a\": {}, \"b\": {}, \"c\": 1}", "/nowhere.json", "{\"a\": 1, \"b\": {}}"] {
            await #expect(throws: TransferQError.self, "\(text)") { try await settings.parse(["implicit:\(text)"]) }
        }
    }

    @Test func headsAreRefusedWhereTheyDoNotBelong() async throws {
        let (head, _) = try await Self.head()
        let (model, _, folder) = try await Self.tiny()
        let reader = TextReader(model: model)
        #expect(throws: LlamaError.self) { try HeadReward(head, name: "head", reader: reader) }
        var lost = head
        lost.backbone = .init(model: "lost.gguf", sha256: "00", type: nil, width: 576)
        let file = folder.file("lost.json").path
        try lost.write(to: file)
        let catalogue = ModelRewards(models: Self.models).catalogue
        let error = await #expect(throws: LlamaError.self) { try await catalogue.parse(["head:\(file)"]) }
        #expect(error?.description.contains("lost.gguf") == true)
    }

    /// A file that says how its texts are pooled gives token states all the same.
    @Test(arguments: [1, 3, 4] as [UInt32]) func pooledModelsGiveStatesOfTokens(type: UInt32) async throws {
        let folder = try TemporaryFolder()
        try ModelWriter.tinyModel(to: folder.file("plain.gguf"))
        try ModelWriter.tinyModel(to: folder.file("pooled.gguf"), poolingType: type)
        var states: [[PooledState]] = []
        for name in ["plain.gguf", "pooled.gguf"] {
            let reader = TextReader(model: try await LlamaModel(path: folder.file(name).path))
            states.append(try await reader.states(of: ["one", "two three"], after: Self.conversation))
        }
        for (plain, pooled) in zip(states[0], states[1]) {
            #expect(plain.last == pooled.last && plain.mean == pooled.mean)
        }
    }

    @Test func featuresAreKeptAndResumed() async throws {
        let (model, _, folder) = try await Self.tiny()
        let store = ModelStore(root: folder.url)
        let backbone = try await store.backbone(of: model)
        let completions = (0..<30).map { index in
            Completion(conversation: [Message(role: "user", content: "q \(index / 2)")], text: Self.tail(index))
        }
        func states(_ reader: TextReader, stopAfter: Int = .max) async throws -> [PooledState] {
            let task = Task {
                try await FeatureStore(store: store).states(of: completions, backbone: backbone, reader: reader) {
                    known in
                    if known >= stopAfter { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            return try await task.value
        }
        await #expect(throws: CancellationError.self) { try await states(TextReader(model: model), stopAfter: 12) }
        let features = folder.file("features")
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: features.path).first)
        let file = features.appending(path: name)
        let record = 8 * ModelWriter.width
        #expect(try Data(contentsOf: file).count == 12 * record)
        // As a killed run would leave it.
        try (Data(contentsOf: file) + Data([1, 2, 3])).write(to: file)
        let resumed = try await states(TextReader(model: model))
        try FileManager.default.removeItem(at: file)
        let whole = try await states(TextReader(model: model))
        #expect(resumed == whole && whole.count == 30)
        let idle = TextReader(model: model)
        #expect(try await states(idle) == whole)
        #expect(await idle.decodedTokens == 0)
    }
}

extension [String] {
    fileprivate func asyncTokens(_ reader: TextReader) async -> [[Token]] {
        var all: [[Token]] = []
        for text in self { all.append(await reader.tokens(of: text)) }
        return all
    }
}
