/** Negotiation between plain text and HTML by a request's Accept header (RFC 9110, §12.5.1). */

/** True if HTML is preferred. A tie is text, as curl takes anything; so is a header that takes neither, as text helps more than 406 does. */
export function prefersHtml(accept = "*/*"): boolean {
  const qualities = qualitiesIn(accept);
  const qualityOf = (type: string) => qualities.get(type) ?? qualities.get("text/*") ?? qualities.get("*/*") ?? 0;
  return qualityOf("text/html") > qualityOf("text/plain");
}

/** Returns the quality of each media range. Parameters of a media type are ignored, as each type has one form here. */
function qualitiesIn(accept: string): Map<string, number> {
  const ranges = accept.toLowerCase().split(",");
  return new Map(
    ranges.map((each) => {
      const [range = "", ...parameters] = each.split(";").map((part) => part.trim());
      const given = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
      return [range, /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(given) ? Number(given) : 0];
    }),
  );
}
