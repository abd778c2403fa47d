{% macro is_audited(batch_column, month_column) -%}
    {%- if batch_column is not none and month_column is not none -%}
        {{ exceptions.raise_compiler_error(
            "is_audited: expected batch_column or month_column, found both"
        ) }}
    {%- elif batch_column is not none -%}
        {{ is_in_scope(batch_column) }}
    {%- elif month_column is not none -%}
        {{ is_in_touched_month(month_column) }}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
