{% macro contract_bounds() %}
    {%- set bounds = [] -%}
    {%- for column in contract_columns() -%}
        {%- for bound, sign in [('minimum', '>='), ('maximum', '<=')]
            if column[bound] is not none -%}
            {%- set limit = "cast('" ~ column[bound] ~ "' as " ~ column.data_type ~ ')' -%}
            {%- do bounds.append(
                '(' ~ column.name ~ ' is null or ' ~ column.name ~ ' ' ~ sign ~ ' ' ~ limit ~ ')'
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(bounds) }}
{% endmacro %}
