import Foundation
import Synchronization
public import TransferQ

/// `http://…` or `https://…`: a reward on a server.
///
/// What is sent depends on how the address ends; the table of servers, with what each is sent and answers:
///
/// | end of the address | server | gets | answers |
/// |---|---|---|---|
/// | `/classify` | vLLM | messages, a request for each text; raw logits by `use_activation: false` | `data[i].probs` |
/// | `/pooling` | vLLM | the same, with `task: classify` | `data[i].data` |
/// | `/score` | vLLM | `text_1`: questions, `text_2`: answers; `use_activation: false` | `data[i].score` |
/// | `/predict` | TEI | `inputs`: texts; `raw_scores: true` | labels with scores |
/// | `/rerank` | TEI, vLLM, llama-server | `query`, `texts` and `documents`; `raw_scores: true`, `use_activation: false` | `score`s |
/// | any other | ours | `completions`: what ``CommandReward`` sends | `{"rewards": […]}` |
///
/// Behind `#`, joined by `&`: `class=PLACE` or `class=LABEL` picks one of several numbers, `form=NAME` says which line of the
/// table it is where the address ends otherwise (`classify`, `pooling`, `score`, `predict`, `rerank`, `rewards`), and
/// `input=text` sends texts to servers that take messages. `?model=NAME` goes into the body as well. Texts are dialogues in
/// hh-rlhf's form.
///
/// One label whose numbers are all 1 has gone through a softmax, so it says nothing of the texts: it is refused, after raw
/// logits were asked for by all names that the field has had. A server that gives ten different texts one reward is
/// reported once.
///
/// A server that cannot be reached, or answers 429 or 5xx, is asked again after 0.25 s and after 1 s. Redirects by 307 and
/// 308 are followed with what was sent, all others refused; name and password in the address stay with its host.
public struct HTTPReward: RewardModel {
    public let name: String
    private let exchange: HTTPExchange
    private let form: RewardForm
    private let choice: String?
    private let model: String?
    /// nil where the server decides.
    private let input: RewardForm.Manner.Input?
    private let timeout: Double
    private let warn: @Sendable (String) -> Void
    private let watch: ConstantWatch
    private let known = Known()

    /// How the server wants to be spoken to, once that is known.
    private final class Known: Sendable {
        let manner = Mutex<RewardForm.Manner?>(nil)
    }

    /// - Parameters:
    ///   - timeout: seconds for one try.
    ///   - pauses: seconds before each further try.
    ///   - warn: gets sentences about what looks wrong but is no error, each once.
    /// - Throws: ``TransferQError/rewardSpecification(specification:reason:)`` for what is no address.
    public init(
        address: String, timeout: Double = 60, pauses: [Double] = [0.25, 1],
        warn: @escaping @Sendable (String) -> Void = RewardWarning.print
    ) throws {
        guard var parts = URLComponents(string: address), parts.host?.isEmpty == false else {
            throw TransferQError.rewardSpecification(
                specification: address, reason: "write an address, for example http://localhost:8000/reward")
        }
        let settings = try AddressSettings(parts.fragment, of: address)
        var authorization: String?
        if let user = parts.user {
            authorization = "Basic " + Data("\(user):\(parts.password ?? "")".utf8).base64EncodedString()
        }
        // Names go into files and messages, passwords do not.
        if parts.password != nil { parts.password = "…" }
        name = parts.string ?? address
        (parts.user, parts.password, parts.fragment) = (nil, nil, nil)
        guard let url = parts.url else {
            throw TransferQError.rewardSpecification(specification: address, reason: "this is no address")
        }
        form = settings.form ?? RewardForm(path: url.lastPathComponent)
        choice = settings.choice
        input = settings.input
        model = parts.queryItems?.first { $0.name == "model" }?.value
        exchange = HTTPExchange(
            name: name, address: url, authorization: authorization, timeout: timeout, pauses: pauses)
        self.timeout = timeout
        self.warn = warn
        watch = ConstantWatch(reward: name, warn: warn)
    }

    public var range: ClosedRange<Double>? { nil }

    public func rewards(for completions: [Completion]) async throws -> [Double] {
        do {
            let rewards: [Double]
            if let manner = known.manner.withLock({ $0 }) {
                rewards = try await ask(completions, manner).values
            } else {
                rewards = try await firstRewards(for: completions)
            }
            watch.note(rewards, of: completions)
            return rewards
        } catch let error as ReplyError {
            throw RewardError.failed(reward: name, reason: "\(error)")
        } catch let error as HTTPExchange.Failure {
            throw RewardError.failed(reward: name, reason: error.description)
        } catch let refusal as HTTPExchange.Refusal {
            throw RewardError.failed(
                reward: name, reason: "answered with status \(refusal.status) (\"\(refusal.text)\"); check the address")
        }
    }

    // MARK: Getting to know the server

    /// The rewards of a first batch, by which it is found out what this server can do.
    private func firstRewards(for completions: [Completion]) async throws -> [Double] {
        var manner = RewardForm.Manner(input: input ?? (form.takesMessages ? .messages : .text))
        var reply: RewardProtocol.Reply
        do {
            // One is enough to see whether messages are taken.
            if form.takesMessages, input == nil { _ = try await ask(Array(completions.prefix(1)), manner) }
            reply = try await ask(completions, manner)
        } catch let error where form.takesMessages && input == nil && Self.meansNoMessages(error) {
            manner.input = .text
            reply = try await ask(completions, manner)
            warn(
                "the reward \(name) takes no messages, so it gets texts of the form \\n\\nHuman: …\\n\\nAssistant: … and "
                    + "not its model's own template; #input=text behind the address means the same without this warning"
            )
        }
        if form.hasActivations, reply.values.allSatisfy(Self.couldBeProbability) {
            for other in RewardForm.Manner.Activation.allCases where other != manner.activation {
                let alternative = RewardForm.Manner(input: manner.input, activation: other)
                let sample = Array(completions.prefix(4))
                // A server that refuses a field has no raw logits by that name.
                guard let tried = try? await ask(sample, alternative), !tried.values.allSatisfy(Self.couldBeProbability)
                else {
                    try Task.checkCancellation()
                    continue
                }
                manner = alternative
                reply = try await ask(completions, manner)
                break
            }
        }
        try await refuseSoftmaxOfOne(reply, manner)
        known.manner.withLock { $0 = manner }
        return reply.values
    }

    private static func couldBeProbability(_ value: Double) -> Bool { (0...1).contains(value) }

    /// Whether an answer to messages shows that they are not taken, as against a text that is too long.
    private static func meansNoMessages(_ error: any Error) -> Bool {
        switch error {
        case let refusal as HTTPExchange.Refusal:
            let text = refusal.text.lowercased()
            return !["context length", "input_tokens", "too long", "maximum"].contains { text.contains($0) }
        case TransferQError.rewardCount(_, _, let got): return got == 0
        default: return false
        }
    }

    /// Texts that no model gives the same logit.
    private static let probes = ["Yes.", "I hate you, go away!", "The sum of 17 and 25 is 42."].map {
        Completion(conversation: [Message(role: "user", content: "Hello")], text: $0)
    }

    /// One label is 1 behind a softmax whatever the text is; a single logit that happens to be 1 is none.
    private func refuseSoftmaxOfOne(_ reply: RewardProtocol.Reply, _ manner: RewardForm.Manner) async throws {
        guard form != .rewards, reply.isOneLabel || form == .score || form == .rerank,
            !reply.values.isEmpty, reply.values.allSatisfy({ $0 == 1 }),
            try await ask(Self.probes, manner).values.allSatisfy({ $0 == 1 })
        else { return }
        let remedy =
            form == .predict
            ? "serve a model whose config has num_labels 1 and problem_type regression"
            : "start vLLM with --pooler-config '{\"use_activation\": false}' (older versions: --override-pooler-config "
                + "'{\"softmax\": false}'), or use another endpoint, such as /pooling"
        throw RewardError.failed(
            reward: name,
            reason:
                "answers 1 for every text: its only label goes through a softmax, which is 1 whatever the text is. Raw "
                + "logits were asked for, and the server does not give them; \(remedy)")
    }

    // MARK: Asking

    /// Several requests at the same time where it takes several.
    private func ask(_ completions: [Completion], _ manner: RewardForm.Manner) async throws -> RewardProtocol.Reply {
        let parts = try form.parts(of: completions, manner: manner, model: model)
        var values = [Double](repeating: .nan, count: completions.count)
        var isOneLabel = true
        try await withThrowingTaskGroup(of: (RewardForm.Part, RewardProtocol.Reply).self) { group in
            var waiting = parts.makeIterator()
            func start() {
                guard let part = waiting.next() else { return }
                group.addTask { (part, try await answer(to: part)) }
            }
            for _ in 0..<Self.mostRequests { start() }
            while let (part, reply) = try await group.next() {
                for (place, value) in zip(part.places, reply.values) { values[place] = value }
                isOneLabel = isOneLabel && reply.isOneLabel
                start()
            }
        }
        return RewardProtocol.Reply(values: values, isOneLabel: isOneLabel)
    }

    private func answer(to part: RewardForm.Part) async throws -> RewardProtocol.Reply {
        let reply = try RewardProtocol.reply(try await exchange.post(part.body), choice: choice)
        guard reply.values.count == part.places.count else {
            throw TransferQError.rewardCount(reward: name, expected: part.places.count, got: reply.values.count)
        }
        return reply
    }

    /// At the same time: enough for a server to make batches of.
    private static let mostRequests = 16
}

/// What stands behind the `#` of an address.
private struct AddressSettings {
    var choice: String?
    var form: RewardForm?
    var input: RewardForm.Manner.Input?

    init(_ fragment: String?, of address: String) throws {
        func refused(_ reason: String) -> TransferQError {
            .rewardSpecification(specification: address, reason: reason)
        }
        let forms = RewardForm.allCases.map(\.rawValue).joined(separator: ", ")
        for part in fragment?.split(separator: "&", omittingEmptySubsequences: false) ?? [] {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch (pair[0], pair.count == 2 ? pair[1] : "") {
            case ("class", let value) where !value.isEmpty: choice = value
            case ("form", let value):
                guard let known = RewardForm(rawValue: value) else {
                    throw refused("#form must be one of \(forms), not \(value)")
                }
                form = known
            case ("input", let value):
                guard let known = RewardForm.Manner.Input(rawValue: value) else {
                    throw refused("#input must be messages or text, not \(value)")
                }
                input = known
            default:
                throw refused(
                    "behind # only class=PLACE, class=LABEL, form=NAME and input=text may stand, joined by &")
            }
        }
    }
}
