import Foundation
import Hummingbird
import TransferQ
import TransferQRuntime

/// `GET /v1/models` and `GET /v1/models/NAME`: the presets.
struct ModelEndpoints {
    let server: ServerState
    private let methods: [MethodHelp]

    init(server: ServerState) throws {
        self.server = server
        methods = try DecodingMethods.table.map { try MethodHelp(DecodingMethods.make($0.name), summary: $0.summary) }
    }

    private struct List: Encodable {
        let object = "list"
        let data: [Item]
    }

    struct Item: Encodable {
        struct Extra: Encodable {
            let description: String
            let isDefault: Bool
            let method: String
            /// All that the method runs with; those that are off are left out.
            let parameters: [String: ParameterValue]
            /// Names of the rewards, in the order of their parts.
            let reward: [String]
            let weights: [String: Double]
            /// What the baseline differs by; nil where it is the reference.
            let baseline: String?
            let maxTokens: Int
            let contextLength: Int?
            let methods: [MethodHelp]
        }

        let id: String
        let object = "model"
        /// There is no such time.
        let created = 0
        let owner = "transferq"
        let transferq: Extra

        private enum CodingKeys: String, CodingKey {
            case id, object, created, transferq
            case owner = "owned_by"
        }
    }

    struct MethodHelp: Encodable, Sendable {
        struct ParameterHelp: Encodable, Sendable {
            let name: String
            let `default`: ParameterValue?
            /// The range, or the choices.
            let range: String
            let help: String
        }

        let name: String
        let summary: String
        let parameters: [ParameterHelp]

        init(_ method: ConfiguredMethod, summary: String) throws {
            name = method.name
            self.summary = summary
            parameters = method.parameters.map {
                ParameterHelp(name: $0.name, default: $0.value, range: $0.requirement, help: $0.summary)
            }
        }
    }

    private func item(_ preset: Preset) throws -> Item {
        let (spec, method) = (preset.spec, try preset.spec.configuredMethod.configured())
        let parts = [
            spec.baseline?.model.map { _ in "another model" }, spec.baseline?.adapter.map { _ in "an adapter" },
            spec.baseline?.system.map { "the system prompt \"\($0)\"" },
        ].compactMap { $0 }
        return Item(
            id: preset.name,
            transferq: Item.Extra(
                description: spec.description, isDefault: preset.name == server.presets.standard, method: method.name,
                parameters: parameters(method, of: preset), reward: spec.rewards.map(\.name),
                weights: Dictionary(
                    spec.rewards.map { ($0.name, RewardCatalogue.weight(of: $0.term)) }, uniquingKeysWith: { $1 }),
                baseline: parts.isEmpty ? nil : parts.joined(separator: " with "),
                maxTokens: min(spec.limits?.maximumTokens ?? AnswerPlan.standardLength, server.limits.answerTokens),
                contextLength: preset.contextLength, methods: methods))
    }

    /// All that a method runs with.
    private func parameters(_ method: ConfiguredMethod, of preset: Preset) -> [String: ParameterValue] {
        let given = method.parameters.compactMap { parameter in parameter.value.map { (parameter.name, $0) } }
        var values = Dictionary(given, uniquingKeysWith: { $1 })
        // Its default is a sentence; what it comes to is a number.
        if case .text? = values["alpha"], let unit = preset.rewardUnit { values["alpha"] = .number(unit) }
        return values
    }

    @Sendable func list(_ request: Request, context: ServerContext) throws -> Response {
        .json(List(data: try server.presets.all.map(item)))
    }

    @Sendable func one(_ request: Request, context: ServerContext) throws -> Response {
        // Names may hold slashes.
        let name = request.uri.path.dropFirst("/v1/models/".count).removingPercentEncoding ?? ""
        return .json(try item(server.presets.preset(name)))
    }
}
