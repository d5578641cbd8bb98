/** What the stores could not read of an answer: without it a gap looks like "nothing was there". */

export function Gaps({ texts }: { texts?: string[] }) {
  if (!texts || texts.length === 0) return null;
  return (
    <div className="problem" role="alert">
      <b>This answer is incomplete</b>
      {texts.map((text) => (
        <span className="muted break" key={text}>
          {text}
        </span>
      ))}
    </div>
  );
}
