public import Foundation
public import TransferQ
import TransferQLlama
import TransferQRewards

/// From what a person asks for to a running answer: models and rewards, each loaded once however many ask for it at the same
/// time, and slots that answers run in.
///
///     let runtime = try await Runtime(model: "smollm2-135m-instruct", baseline: .system("You are kind."))
///     let answer = try runtime.answer("How do I make tea?", method: "transfer-q", reward: "length:30")
///     for try await event in answer {
///         if case .step(let step) = event { print(step.text, terminator: "") }
///     }
public final class Runtime: Sendable {
    /// What makes policies.
    public let engine: any Engine
    public let model: ModelSpec?
    /// The one that was asked for; where there is none, a reward that says what it wants makes one.
    public let baseline: BaselineSpec?
    /// What makes rewards.
    public let rewardLoader: RewardLoader
    private let pool: SlotPool?
    /// Requests from a network may weigh the same rewards in any number of ways.
    private let scorings = LoadOnce<LoadedRewards>(limit: 64)
    private let catalogues = LoadOnce<RewardCatalogue>()

    /// - Parameters:
    ///   - engine: what loads the reference and the baseline.
    ///   - model: the reference; the engine's standard where nil.
    ///   - rewardLoader: where rewards find their models, which run in this process whatever the engine.
    ///   - capacity: what answers may take together; where nil, every answer has contexts of its own, made to measure.
    public init(
        engine: any Engine, model: ModelSpec? = nil, baseline: BaselineSpec? = nil, rewardLoader: RewardLoader,
        capacity: RuntimeCapacity? = nil
    ) {
        self.engine = engine
        self.model = model
        self.baseline = baseline
        self.rewardLoader = rewardLoader
        pool = capacity.map(SlotPool.init)
    }

    /// A runtime on llama.cpp, whose rewards find models where the engine does.
    ///
    /// - Parameters:
    ///   - model: the reference; the demonstration model where nil.
    ///   - rewardTimeout: seconds that a reward's program or server may take for a batch.
    ///   - heads: a folder of head files that are known by their names.
    ///   - capacity: what answers may take together; where nil, every answer has contexts of its own, made to measure.
    public convenience init(
        engine: LlamaEngine, model: ModelSpec? = nil, baseline: BaselineSpec? = nil, rewardTimeout: Double = 60,
        heads: URL? = nil, capacity: RuntimeCapacity? = nil
    ) {
        self.init(
            engine: engine, model: model, baseline: baseline,
            rewardLoader: RewardLoader(
                library: engine.library, threads: engine.threads, timeout: rewardTimeout, heads: heads),
            capacity: capacity)
    }

    /// A runtime whose models are loaded when this returns.
    ///
    /// - Parameter model: a known name or a GGUF file.
    /// - Throws: what is wrong with a model.
    public convenience init(
        model: String, baseline: BaselineSpec? = nil, capacity: RuntimeCapacity? = nil
    ) async throws {
        self.init(engine: LlamaEngine(), model: try ModelSpec(model), baseline: baseline, capacity: capacity)
        _ = try await engine.load(self.model, baseline: baseline)
    }

    /// Sets of slots that are there for answers that come one by one, used or kept.
    package var slotSets: Int { get async { await pool?.count ?? 0 } }

    // MARK: Loading

    /// All kinds of rewards.
    public func catalogue() async throws -> RewardCatalogue {
        try await catalogues.value("") { [engine, model, rewardLoader] in
            guard let model, let file = try await engine.file(of: model) else { return rewardLoader.catalogue() }
            return rewardLoader.catalogue(likely: [file])
        }
    }

    /// What candidates are valued by.
    public func rewards(for scoring: ScoringSpec) async throws -> LoadedRewards {
        let key = try String(decoding: JSONEncoder.sorted.encode(scoring), as: UTF8.self)
        return try await scorings.value(key) { [self] in try await LoadedRewards(scoring, from: catalogue()) }
    }

    /// The models that take part when `methods` run with `rewards`.
    ///
    /// Where no baseline was asked for and a method uses one, the reference under the reward's own instruction is it.
    ///
    /// - Parameter hasSystem: whether prompts have a place for a system prompt; a text to be continued has none.
    /// - Returns: the models, and what a person should know of them, a sentence each.
    public func models(
        for methods: [ConfiguredMethod] = [], rewards: LoadedRewards? = nil, hasSystem: Bool = true
    ) async throws -> (models: any LoadedModels, notices: [String]) {
        var (baseline, notices) = (self.baseline, [String]())
        if baseline == nil, hasSystem, methods.contains(where: { $0.method.usesBaseline }),
            let instruction = rewards?.target?.instruction
        {
            baseline = .system(instruction)
            notices.append("the baseline is the same model under the reward's own system prompt: \"\(instruction)\"")
        }
        let models: any LoadedModels = try await engine.load(model, baseline: baseline)
        if let value = rewards?.value { notices += try await models.check(value, methods: methods) }
        return (models, notices)
    }

    /// Models, prompts and slots for answers that differ in nothing but their conversations.
    ///
    /// - Parameters:
    ///   - requests: at least one.
    ///   - methods: what will run for each request; its own method where empty.
    ///   - rewards: in place of those that the requests name.
    ///   - parallel: answers at the same time.
    /// - Throws: ``RequestFailure`` for a conversation that a model cannot read; what is wrong with models and rewards.
    public func prepare(
        _ requests: [AnswerRequest], methods: [ConfiguredMethod] = [], rewards given: LoadedRewards? = nil,
        parallel: Int = 1
    ) async throws -> PreparedPrompts {
        guard let first = requests.first else {
            throw RuntimeError.invalidSpecification(what: "list", reason: "it holds no request; give at least one")
        }
        let methods = try methods.isEmpty ? [first.method.configured()] : methods
        let rewards: LoadedRewards
        if let given { rewards = given } else { rewards = try await self.rewards(for: first.scoring) }
        let (models, notices) = try await self.models(for: methods, rewards: rewards, hasSystem: first.form == .chat)
        var prompts: [PromptTokens] = []
        for (place, request) in requests.enumerated() {
            do { prompts.append(try await models.prompts(for: request.messages, form: request.form)) } catch {
                throw RequestFailure(place: place, reason: error)
            }
        }
        let plan = SlotPlan(
            prompts: prompts, maximumLength: first.limits.maximumTokens, methods: methods, rewards: rewards,
            rewardSource: try await rewards.target?.stateSource(for: first.messages),
            parallel: min(parallel, requests.count))
        return PreparedPrompts(
            requests: requests, prompts: prompts, models: models, rewards: rewards,
            slots: try await models.slots(for: plan), notices: notices)
    }

    /// As ``prepare(_:methods:rewards:parallel:)`` for one request, whose failure is its own.
    public func prepare(
        _ request: AnswerRequest, methods: [ConfiguredMethod] = [], rewards: LoadedRewards? = nil
    ) async throws -> PreparedPrompts {
        do { return try await prepare([request], methods: methods, rewards: rewards) } catch let failure
            as RequestFailure
        {
            throw failure.reason
        }
    }

    /// One request, ready to be answered in a slot of its own, or in one of the pool's when there is one for it.
    func open(_ request: AnswerRequest) async throws -> OpenAnswer {
        let method = try request.method.configured()
        guard let pool else {
            let prepared = try await prepare(request)
            return OpenAnswer(
                prompt: try await prepared.open(0), method: method,
                notices: prepared.notices + prepared.prompts[0].notices,
                lease: nil)
        }
        let rewards = try await rewards(for: request.scoring)
        let (models, notices) = try await self.models(for: [method], rewards: rewards, hasSystem: request.form == .chat)
        let prompts = try await models.prompts(for: request.messages, form: request.form)
        let lease = try await pool.lease(for: request, prompts: prompts, of: models, method: method, rewards: rewards)
        let prompt = try await PreparedPrompt(request, prompts, of: models, rewards: rewards, in: lease.slot)
        return OpenAnswer(prompt: prompt, method: method, notices: notices + prompts.notices, lease: lease)
    }

    // MARK: Answers

    /// An answer that is made while it is pulled.
    public func answer(_ request: AnswerRequest) -> AnswerStream { AnswerStream(runtime: self, request: request) }

    /// An answer to one question.
    ///
    /// - Parameters:
    ///   - method: its name; the parameters take their defaults.
    ///   - reward: a term, e.g. `length:30`.
    /// - Throws: what is wrong with the method or the reward as written.
    public func answer(
        _ prompt: String, method: String = "transfer-q", reward: String? = nil, maximumTokens: Int = 128,
        seed: UInt64 = 0
    ) throws -> AnswerStream {
        answer(
            try AnswerRequest(
                messages: [Message(role: "user", content: prompt)], method: MethodSpec(method),
                scoring: ScoringSpec(reward: try reward.map { try RewardSpec([$0]) }),
                limits: AnswerLimits(maximumTokens: maximumTokens), seed: seed))
    }
}

/// One answer that is about to begin.
struct OpenAnswer: Sendable {
    let prompt: PreparedPrompt
    let method: ConfiguredMethod
    /// What a person should know of models, rewards and the prompt.
    let notices: [String]
    /// Of the slot, when it came from a pool.
    let lease: SlotLease?
}

/// What went wrong with one request of many.
public struct RequestFailure: Error, CustomStringConvertible {
    /// Its place in the list, from 0 on.
    public let place: Int
    public let reason: any Error

    public init(place: Int, reason: any Error) {
        self.place = place
        self.reason = reason
    }

    public var description: String { "prompt \(place + 1) of the file: \(reason)" }
}

/// Requests that are ready to be answered, in slots made to measure.
public struct PreparedPrompts: Sendable {
    public let requests: [AnswerRequest]
    /// In the order of the requests.
    public let prompts: [PromptTokens]
    public let models: any LoadedModels
    public let rewards: LoadedRewards
    public let slots: SlotSet
    /// What a person should know of models and rewards, a sentence each; what is to be said of prompts comes with them.
    public let notices: [String]

    /// The policies of one request; in a slot one prompt is open at a time.
    public func open(_ place: Int, in slot: any AnswerSlot) async throws -> PreparedPrompt {
        try await PreparedPrompt(requests[place], prompts[place], of: models, rewards: rewards, in: slot)
    }

    /// As ``open(_:in:)``, in the first slot.
    public func open(_ place: Int) async throws -> PreparedPrompt { try await open(place, in: slots.groups[0][0]) }

    /// Whether an answer may depend on those that run beside it.
    public var dependsOnNeighbours: Bool { slots.sharesBatches && models.reproducibility != .exact }
}

/// An answer that is made while it is pulled: notices, steps, and a summary at the end.
///
/// Cancelling the task that pulls ends the answer with the reason `cancelled`.
public struct AnswerStream: AsyncSequence, Sendable {
    public typealias Element = AnswerEvent

    let runtime: Runtime
    let request: AnswerRequest

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(runtime: runtime, request: request) }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let runtime: Runtime
        fileprivate let request: AnswerRequest
        private var answer: RunningAnswer?
        private var notices: [String] = []
        /// Goes back with the iterator.
        private var lease: SlotLease?

        fileprivate init(runtime: Runtime, request: AnswerRequest) {
            self.runtime = runtime
            self.request = request
        }

        public mutating func next() async throws -> AnswerEvent? {
            if answer == nil {
                let open = try await runtime.open(request)
                (notices, lease) = (open.notices, open.lease)
                answer = try RunningAnswer(open.prompt, open.method)
            }
            if !notices.isEmpty { return .notice(notices.removeFirst()) }
            let event = try await answer?.next(isWhole: false)
            // The policies first: their sequences belong to the slot.
            if event == nil { (answer, lease) = (nil, nil) }
            return event
        }
    }
}

extension JSONEncoder {
    static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }
}
