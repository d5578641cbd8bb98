/** Taking an item out of service: it is kept, with its history, and counts no more. */
import { useQueryClient } from '@tanstack/react-query';
import { type ItemDetail, retireItem } from '@/api/inventory';
import { ConfirmDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';

export function RetireDialog({ item, close }: { item: ItemDetail; close: () => void }) {
  const queries = useQueryClient();
  return (
    <ConfirmDialog
      title="Retire item"
      open
      close={close}
      verb={`Retire ${item.name}`}
      name={item.name}
      submit={async () => {
        await retireItem(item.id);
        void queries.invalidateQueries({ queryKey: ['items'] });
        say('Retired; its history is kept');
      }}
    >
      It disappears from lists, the map and health, with everything on it. If an agent reports it again, it returns.
    </ConfirmDialog>
  );
}
