/** Live, stale since when, or paused: one press pauses and resumes. */
import { Tooltip } from '@mantine/core';
import { togglePause, useFeed } from '@/api/live';
import { StatusBadge } from '@/parts/status';
import { clock } from '@/parts/time';

export function LiveBadge() {
  const feed = useFeed();
  const shown = {
    live: <StatusBadge status="ok">Live</StatusBadge>,
    connecting: <StatusBadge status="unknown">Connecting</StatusBadge>,
    paused: <StatusBadge status="maintenance">Paused</StatusBadge>,
    stale: (
      <StatusBadge status="warning">
        {feed.state === 'stale' ? `Reconnecting, stale since ${clock(feed.since)}` : 'Reconnecting'}
      </StatusBadge>
    ),
  }[feed.state];
  const hint = {
    live: 'What happens shows at once. Press to pause.',
    connecting: 'Waiting for the event feed.',
    paused: 'Nothing moves until you press again; then it catches up.',
    stale: 'The connection is lost; it is tried again by itself and catches up.',
  }[feed.state];
  return (
    <Tooltip label={hint}>
      <button
        type="button"
        className={feed.state === 'live' || feed.state === 'connecting' ? 'plain hide-s' : 'plain'}
        onClick={togglePause}
        style={{ minHeight: 24 }}
        aria-label={`Event feed: ${feed.state}. ${hint}`}
      >
        {shown}
      </button>
    </Tooltip>
  );
}
