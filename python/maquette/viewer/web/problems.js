/** What goes wrong, as sentences for the person in front of the page. */

export class Problem extends Error {
    /**
     * @param {string} what - What failed, where, with the value.
     * @param {string} hint - The one thing to do about it.
     */
    constructor(what, hint) {
        super(what);
        this.hint = hint;
    }
}

/** The last part of an address, without its query: what a person knows a file by. */
export function fileName(url) {
    try {
        const path = new URL(url, location.href).pathname;
        return decodeURIComponent(path.split("/").pop() || path);
    } catch {
        return String(url);
    }
}

/** Turn whatever was thrown into a Problem. */
export function asProblem(error, name) {
    if (error instanceof Problem) return error;
    if (error instanceof RangeError || /memory|allocation/i.test(error?.message ?? "")) {
        return tooLarge(name);
    }
    const said = String(error?.message ?? error);
    return new Problem(`${name} can not be read: ${said}`, "The file may be damaged: write or publish it again.");
}

export function tooLarge(name, bytes = 0) {
    const size = bytes ? ` (${megabytes(bytes)})` : "";
    return new Problem(
        `${name}${size} is larger than the memory that this browser has for it.`,
        "Open it on a larger machine, or publish it with a size limit.",
    );
}

export function megabytes(bytes) {
    return bytes < 1e5 ? `${Math.round(bytes / 100) / 10} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** What an answer other than success means for a file of the scene. */
export function refusal(status, url) {
    const name = fileName(url);
    const isPresigned = /[?&](X-Amz-|Expires=|Signature=)/i.test(url);
    if (status === 403 && isPresigned) {
        return new Problem(
            `The link to ${name} has expired, or was not made for this file (403).`,
            "Ask whoever sent it for a new one.",
        );
    }
    if (status === 401 || status === 403) {
        return new Problem(
            `The server refuses to give ${name} (${status}).`,
            "It is private: open it with the link that publishing printed.",
        );
    }
    if (status === 404 || status === 410) {
        return new Problem(
            `${name} is not there (${status}): ${new URL(url, location.href).host}`,
            "Check the address; if the scene was unpublished or changed, publish it again.",
        );
    }
    return new Problem(`The server answered ${status} for ${name}.`, "Try again in a moment.");
}

/** No answer at all: the browser does not say why, so the likely reasons are told. */
export function unreachable(url) {
    const address = new URL(url, location.href);
    if (address.origin !== location.origin) {
        return new Problem(
            `${address.host} does not hand ${fileName(url)} to this page.`,
            "The bucket needs CORS that allows this page's address, or the server can not be reached.",
        );
    }
    return new Problem(`${fileName(url)} can not be reached.`, "Check the connection, then load the page again.");
}
