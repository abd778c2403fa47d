{% macro contract_bounds(relation) %}
    {%- set bounds = [] -%}
    {%- set there = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) -%}
            {%- do there.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for column in contract_columns() if column.name in there -%}
        {%- for bound, sign in [('minimum', '>='), ('maximum', '<=')]
            if column[bound] is not none -%}
            {%- set limit -%}
                cast('{{ column[bound] }}' as {{ column.data_type }})
            {%- endset -%}
            {%- do bounds.append(
                '(' ~ column.name ~ ' is null or '
                ~ column.name ~ ' ' ~ sign ~ ' ' ~ limit ~ ')'
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(bounds) }}
{% endmacro %}
