// A trace: what `generate --trace` writes and what the server streams, a JSON object a step.

/// Log 0 and an α without bound stand in JSON as strings.
function real(value) {
    if (value === "inf") return Infinity;
    if (value === "-inf") return -Infinity;
    return typeof value === "number" ? value : null;
}

function list(value) {
    return Array.isArray(value) ? value : [];
}

function readRollout(rollout) {
    return {
        text: String(rollout.text ?? ""),
        reward: real(rollout.reward),
        parts: list(rollout.rewardParts).map(real),
        logWeight: real(rollout.logWeight),
        logProbability: real(rollout.logProbability),
        length: list(rollout.tokens).length,
        finish: String(rollout.finishReason ?? ""),
    };
}

function readCandidate(candidate) {
    const logProbability = real(candidate.logProbability);
    return {
        text: String(candidate.text ?? ""),
        /// log π_sft, nats.
        logProbability,
        /// Q, in units of reward; null where the search did not need it.
        value: real(candidate.value),
        /// What the choice compares: log π_tilt + (Q − best Q)/α.
        score: real(candidate.score) ?? logProbability,
        probability: real(candidate.probability) ?? 0,
        isChosen: candidate.isChosen === true,
        effectiveSampleSize: real(candidate.effectiveSampleSize),
        rewardSpread: real(candidate.rewardSpread),
        rollouts: list(candidate.rollouts).map(readRollout),
    };
}

/// A step out of its JSON object; throws a sentence for something else.
export function readStep(line) {
    if (typeof line !== "object" || line === null || !Array.isArray(line.candidates) || typeof line.text !== "string") {
        throw new Error("it has no text or no candidates");
    }
    const candidates = line.candidates.map(readCandidate);
    if (candidates.some((candidate) => candidate.logProbability === null)) {
        throw new Error("a candidate has no log-probability");
    }
    let own = candidates.length ? 0 : -1;
    candidates.forEach((candidate, index) => {
        if (candidate.logProbability > candidates[own].logProbability) own = index;
    });
    return {
        prompt: Number(line.prompt ?? 0),
        conversation: list(line.conversation).map((message) => ({
            role: String(message?.role ?? ""), content: String(message?.content ?? ""),
        })),
        index: Number(line.step ?? 0),
        text: line.text,
        candidates,
        chosen: candidates.findIndex((candidate) => candidate.isChosen),
        /// The candidate that the model by itself holds likeliest.
        own,
        /// Nats.
        kl: real(line.kl),
        cumulativeKL: real(line.cumulativeKL),
        klKind: String(line.klKind ?? ""),
        cumulativeKLKind: String(line.cumulativeKLKind ?? ""),
        /// Reward per nat; null for a method that tilts nothing.
        alpha: real(line.alpha),
        outside: real(line.outsideProbability),
    };
}

/// A step of a stream that has text and nothing else.
export function bareStep(text, index) {
    return readStep({ step: index, text, candidates: [] });
}

/// The answers of a trace file, one a prompt; throws a sentence that names the line.
export function readTrace(text) {
    const answers = new Map();
    text.split("\n").forEach((line, number) => {
        if (!line.trim()) return;
        let step;
        try {
            step = readStep(JSON.parse(line));
        } catch (error) {
            const reason = error instanceof SyntaxError ? "it is no JSON" : error.message;
            throw new Error(`Line ${number + 1} is no step of a trace: ${reason}.`);
        }
        if (!answers.has(step.prompt)) answers.set(step.prompt, { prompt: step.prompt, conversation: [], steps: [] });
        const answer = answers.get(step.prompt);
        if (step.conversation.length) answer.conversation = step.conversation;
        answer.steps.push(step);
    });
    if (!answers.size) throw new Error("There is no step in it.");
    return [...answers.values()];
}

/// Whether the choices of these steps were drawn, and not the likeliest of their distributions.
export function areDrawn(steps) {
    return steps.some((step) => {
        if (step.klKind === "divergence" || step.klKind === "boundOverSkippedValues") return step.candidates.length > 1;
        const chosen = step.candidates[step.chosen];
        return step.klKind === "boundOfMethod" && chosen !== undefined
            && step.candidates.some((candidate) => candidate.score > chosen.score);
    });
}

/// Whether something guided the choice: it was tilted, or has values.
export function isGuided(step) {
    return step.alpha !== null || step.candidates.some((candidate) => candidate.value !== null);
}

/// Whether guidance made the choice another than the model by itself would have made: of a draw, whether its likeliest
/// token is another.
export function isMoved(step) {
    if (step.own < 0 || step.chosen < 0 || step.klKind === "boundOfMethod") return false;
    const plain = step.candidates[step.own];
    if (step.klKind === "pointMass") return step.candidates[step.chosen].logProbability < plain.logProbability;
    return step.alpha !== null && step.candidates.some((candidate) => candidate.probability > plain.probability);
}

/// Nats by which the model by itself holds its own first choice likelier than the token that was chosen.
export function lead(step) {
    if (step.own < 0 || step.chosen < 0) return null;
    return step.candidates[step.own].logProbability - step.candidates[step.chosen].logProbability;
}

/// The expected reward after a step: the value of what was chosen; null where the search did not need it.
export function expectedReward(step) {
    return step.chosen < 0 ? null : step.candidates[step.chosen].value;
}

/// What a step's nats are.
export const KL_WORDS = {
    divergence: "KL of the distribution that the token was drawn from",
    boundOverSkippedValues: "the most that the KL can be, since some values are only known to lie in the reward's range",
    boundOfMethod: "an upper bound that holds for the method",
    pointMass: "−log π of the choice: an argmax counts as a distribution on one token",
};
