{% macro drop_batches_in_scope() -%}
    {%- if execute and not should_full_refresh() and load_relation(this) is not none -%}
        {%- set batches = batches_in_scope() or partitions_of(this, 'batch_id') -%}
        {{ drop_partitions('batch_id', batches) }}
    {%- endif -%}
{%- endmacro %}
