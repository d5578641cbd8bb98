/** Who answers for an item: a person, else its team. */
import { useQuery } from '@tanstack/react-query';
import { peopleQuery } from '@/api/access';
import type { Item } from '@/api/inventory';
import { useTeamName } from './names';

export function Owner({ item }: { item: Pick<Item, 'owner' | 'team'> }) {
  const team = useTeamName(item.team);
  const isPerson = item.owner?.startsWith('per_') ?? false;
  const people = useQuery({ ...peopleQuery, enabled: isPerson, retry: false }).data?.items;
  const owner = isPerson ? (people?.find((p) => p.id === item.owner)?.name ?? 'a person') : item.owner;
  if (!owner && !team) return <span>owner nobody</span>;
  return (
    <span>
      {owner ? 'owner ' : 'team '}
      <b>{owner ?? team}</b>
      {owner && team && `, team ${team}`}
    </span>
  );
}
