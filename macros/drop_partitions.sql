{% macro drop_partitions(column, values) -%}
    {%- if values and not should_full_refresh() and load_relation(this) is not none -%}
        {%- set specs = [] -%}
        {%- for value in values -%}
            {%- do specs.append('partition (' ~ column ~ ' = ' ~ text_literal(value) ~ ')') -%}
        {%- endfor -%}
        alter table {{ this }} drop if exists {{ specs | join(', ') }}
    {%- endif -%}
{%- endmacro %}
