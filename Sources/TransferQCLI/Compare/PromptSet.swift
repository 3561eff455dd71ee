import ArgumentParser
import Foundation
import TransferQ
import TransferQConsole
import TransferQEvaluation
import TransferQRewards
import TransferQRuntime

/// A file of prompts to compare methods on.
struct PromptSetOptions: ParsableArguments {
    @Option(help: "Compare on many prompts: JSON lines with a prompt, or data of prompts with answers.")
    var prompts: String?

    @Option(help: .rare("Use the first so many prompts only."))
    var limit: Int?

    @Option(help: .rare("Seeds to answer every prompt with, split by commas, in place of --seed."))
    var seeds: String?

    @Option(
        help: .rare(
            "A reward that guides nothing and is reported beside the guiding one, NAME=TERM; may be given several times."
        ))
    var gold: [String] = []

    @Option(
        help: .rare(
            """
            A further baseline for methods to name, NAME=JSON, as in --named-baseline 'dpo={"adapter": "dpo.gguf"}' and \
            --methods cd,transfer-q[baseline=dpo]; may be given several times.
            """))
    var namedBaseline: [String] = []

    @Option(
        help: """
            Keep the answers in this run folder. A run that was cut goes on where it was, and another run may add methods, \
            prompts and seeds; "transferq evaluate report" makes a page of it.
            """)
    var output: String?

    @OptionGroup var records: RecordFileOptions

    func validate() throws {
        if let limit, limit < 2 { throw ValidationError("--limit must be at least 2, not \(limit)") }
        if prompts == nil, limit != nil || output != nil || seeds != nil || !records.isDefault {
            throw ValidationError("--limit, --seeds, --output, --skip-broken and --ignore-key go with --prompts FILE")
        }
        if prompts == nil, !gold.isEmpty || !namedBaseline.isEmpty {
            throw ValidationError("--gold and --named-baseline go with --prompts FILE")
        }
    }

    /// Nil where none are given.
    var seedList: [UInt64]? {
        get throws {
            try seeds.map { text in
                try text.split(separator: ",").map { part in
                    guard let seed = UInt64(part.trimmingCharacters(in: .whitespaces)) else {
                        throw UsageError("--seeds must be whole numbers of at least 0, split by commas, not \(text)")
                    }
                    return seed
                }
            }
        }
    }

    var goldRewards: [String: RewardSpec] {
        get throws {
            var terms: [String: [String]] = [:]
            for text in gold {
                let (name, term) = try Self.pair(text, "--gold", example: "held-out=head:gold.json")
                terms[name, default: []].append(term)
            }
            return try terms.mapValues(RewardSpec.init)
        }
    }

    var baselines: [String: BaselineSpec] {
        get throws {
            var named: [String: BaselineSpec] = [:]
            for text in namedBaseline {
                let example = "kind={\"system\": \"You are kind.\"}"
                let (name, json) = try Self.pair(text, "--named-baseline", example: example)
                guard named[name] == nil else { throw UsageError("--named-baseline gives \(name) twice; rename one") }
                do { named[name] = try JSON.decoder.decode(BaselineSpec.self, from: Data(json.utf8)) } catch {
                    throw UsageError(
                        "--named-baseline \(name): \(JSON.sentence(error)); write for example '\(example)'")
                }
            }
            return named
        }
    }

    private static func pair(
        _ text: String, _ option: String, example: String
    ) throws -> (name: String, value: String) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            throw UsageError("\(option) must be NAME=VALUE, for example '\(example)', not \(text)")
        }
        return (parts[0], parts[1])
    }
}
